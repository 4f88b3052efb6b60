// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// TestRefusedRestart: a restart that the API server refuses is tried again while that
// may be the API server's own beginning, and is then left to the kubelet.
func TestRefusedRestart(t *testing.T) {
	for name, tc := range map[string]struct {
		after   time.Duration
		want    v1alpha1.WorkloadState
		wantErr bool
		why     string
	}{
		"at once":       {after: time.Second, want: v1alpha1.WorkloadRestarting, wantErr: true, why: "the roles may not have been read yet"},
		"for a while":   {after: refusedFor - time.Second, want: v1alpha1.WorkloadRestarting, wantErr: true},
		"all the while": {after: refusedFor, want: v1alpha1.WorkloadLeftToKubelet, why: "somebody will not have it"},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
				t.Fatal(err)
			}
			deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
			w := v1alpha1.Workload{Kind: workload.Deployment, Namespace: deployment.Namespace, Name: deployment.Name}
			grant := grantedAt(nil)
			grant.Name = "g"
			grant.Status.Workloads = []v1alpha1.WorkloadStatus{{
				Workload: w, Policy: "prod", State: v1alpha1.WorkloadRestarting, Attempts: 1, RestartTime: after(0),
			}}
			refusal := apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, deployment.Name, nil)
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(deployment, grant).WithStatusSubresource(grant).
				WithInterceptorFuncs(interceptor.Funcs{
					Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
						return refusal
					},
				}).Build()
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(grant), grant); err != nil {
				t.Fatal(err)
			}
			live, err := workload.Read(t.Context(), c, w)
			if err != nil {
				t.Fatal(err)
			}
			r := &Reconciler{Client: c, Clock: clocktesting.NewFakePassiveClock(granted.Add(tc.after))}
			v := view{live: live, stuck: stuckAt(-time.Minute), covered: true, spec: restartSpec{strategy: v1alpha1.RestartRollout}}
			err = r.act(t.Context(), grant, map[int]view{0: v})
			if (err != nil) != tc.wantErr || tc.wantErr && !apierrors.IsForbidden(err) {
				t.Errorf("act = %v, want an error %t: %s", err, tc.wantErr, tc.why)
			}
			if got := grant.Status.Workloads[0]; got.State != tc.want || got.Attempts != 1 {
				t.Errorf("the workload is %s after %d attempts, want %s after one: %s", got.State, got.Attempts, tc.want, tc.why)
			}
		})
	}
}
