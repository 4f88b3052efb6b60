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
		edit            func(*corev1.Pod)
		recovers, pulls bool
		stuck           bool
		why             string
	}{
		"running since an earlier life": {made: -48 * time.Hour, started: -47 * time.Hour},
		"started while it was waited for": {
			made: -2 * time.Hour, started: -30 * time.Minute, recovers: true, why: "its node may have had the image",
		},
		"started after the write": {made: -2 * time.Hour, started: time.Minute, recovers: true, pulls: true},
		"crashed and started since": {
			made: -2 * time.Hour, started: time.Minute, edit: crashed(corev1.PullIfNotPresent), why: "the image was on its node",
		},
		"crashed, pulled and started since": {
			made: -2 * time.Hour, started: time.Minute, edit: crashed(corev1.PullAlways), recovers: true, pulls: true,
			why: "the kubelet asks the registry before each start",
		},
		"crashed, and cannot be pulled": {
			made: -2 * time.Hour, stuck: true, why: "its pod is running, and so not among the pending ones",
			edit: func(pod *corev1.Pod) {
				crashed(corev1.PullAlways)(pod)
				pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
					Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image"},
				}
			},
		},
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
			if tc.edit != nil {
				tc.edit(pod)
			}
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Spec: corev1.NodeSpec{ProviderID: "gce://acme-prod-417/us-central1-a/node-1"}}
			c := fake.NewClientBuilder().WithObjects(pod, node).Build()
			r := &Reconciler{Live: c, Nodes: workload.NewNodes(c), Pullers: puller(email)}
			grant := grantedAt(nil)
			grant.CreationTimestamp = *after(-72 * time.Hour)
			grant.Spec.Repository = v1alpha1.Repository{Project: "acme-prod-417", Location: "us-central1", Name: "services"}
			grant.Spec.Member = v1alpha1.ServiceAccountMember(email)
			grant.Status.RequestedTime = after(-time.Hour) // Asked for anew; a person took their time.
			grant.Status.Write = &v1alpha1.IAMPolicyWrite{IntentTime: *after(0)}
			w := v1alpha1.Workload{Kind: workload.Pod, Namespace: "shop", Name: "web"}
			live, err := workload.Read(t.Context(), c, w)
			if err != nil {
				t.Fatal(err)
			}
			v := view{live: live}
			if err := r.observeLive(t.Context(), grant, w, &v); err != nil {
				t.Fatal(err)
			}
			if stuck := len(v.stuck) > 0; v.started != tc.recovers || v.pulled != tc.pulls || stuck != tc.stuck {
				t.Errorf("started %v, pulled %v, stuck %v; want %v, %v, %v (%s)", v.started, v.pulled, stuck, tc.recovers, tc.pulls, tc.stuck, tc.why)
			}
		})
	}
}

// crashed has the pod's container run for the second time.
func crashed(policy corev1.PullPolicy) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodRunning
		pod.Spec.Containers[0].ImagePullPolicy = policy
		pod.Status.ContainerStatuses[0].RestartCount = 1
	}
}
