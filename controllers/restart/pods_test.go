// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// puller has every node pull as one account.
type puller string

func (p puller) NodeAccount(context.Context, diagnosis.Node) diagnosis.Puller {
	return diagnosis.Puller{State: diagnosis.Present, Email: string(p)}
}

// TestWhatProvesAPull: only a container that was started since the grant was written
// can have been pulled by it, and only one that was started since it was asked for
// counts as a recovery.
func TestWhatProvesAPull(t *testing.T) {
	const email = "gke-nodes@acme-prod-417.iam.gserviceaccount.com"
	tests := map[string]struct {
		made, started   time.Duration
		recovers, pulls bool
		why             string
	}{
		"running since an earlier life": {made: -48 * time.Hour, started: -47 * time.Hour},
		"started while it was waited for": {
			made: -2 * time.Hour, started: -30 * time.Minute, recovers: true, why: "its node may have had the image",
		},
		"started after the write":          {made: -2 * time.Hour, started: time.Minute, recovers: true, pulls: true},
		"made and started after the write": {made: time.Minute, started: 2 * time.Minute, recovers: true, why: "its node may have the image by now"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", CreationTimestamp: *after(tc.made)},
				Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{
					Name: "app", Image: "us-central1-docker.pkg.dev/acme-prod-417/services/web:1",
				}}},
				Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
					Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: *after(tc.started)}},
				}}},
			}
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Spec: corev1.NodeSpec{ProviderID: "gce://acme-prod-417/us-central1-a/node-1"}}
			c := fake.NewClientBuilder().WithObjects(pod, node).Build()
			r := &Reconciler{Live: c, Nodes: workload.NewNodes(c), Pullers: puller(email)}
			grant := grantedAt(nil)
			grant.CreationTimestamp = *after(-72 * time.Hour)
			grant.Spec.Repository = v1alpha1.Repository{Project: "acme-prod-417", Location: "us-central1", Name: "services"}
			grant.Spec.Member = v1alpha1.ServiceAccountMember(email)
			grant.Status.RequestedTime = after(-time.Hour) // Asked for anew; a person took their time.
			grant.Status.Write = &v1alpha1.PolicyWrite{IntendedTime: *after(0)}
			w := v1alpha1.Workload{Kind: workload.Pod, Namespace: "shop", Name: "web"}
			live, err := workload.Read(t.Context(), c, w)
			if err != nil {
				t.Fatal(err)
			}
			v := view{live: live}
			if err := r.observeStarts(t.Context(), grant, w, &v); err != nil {
				t.Fatal(err)
			}
			if v.started != tc.recovers || v.pulled != tc.pulls {
				t.Errorf("started %v, pulled %v; want %v, %v (%s)", v.started, v.pulled, tc.recovers, tc.pulls, tc.why)
			}
		})
	}
}
