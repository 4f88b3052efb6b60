// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
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
			w := controllertest.Workload(workload.Deployment, "web")
			grant := grantedAt(nil)
			grant.Status.Workloads = []v1alpha1.WorkloadStatus{{
				Workload: w, Policy: "prod", State: v1alpha1.WorkloadRestarting, Attempts: 1, RestartTime: after(0),
			}}
			e := newEnv(t, controllertest.Deployment("web", image), grant)
			e.Faults.Patch = func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
				return apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "web", nil)
			}
			e.Step(tc.after)
			grant = e.Grant(grant.Name)
			live, err := workload.Read(t.Context(), e.Client, w)
			if err != nil {
				t.Fatal(err)
			}
			v := view{live: live, stuck: stuckAt(-time.Minute), covered: true, spec: restartSpec{strategy: v1alpha1.RestartRollout}}
			err = e.r.act(t.Context(), grant, map[int]view{0: v})
			if (err != nil) != tc.wantErr || tc.wantErr && !apierrors.IsForbidden(err) {
				t.Errorf("act = %v, want an error %t: %s", err, tc.wantErr, tc.why)
			}
			if got := grant.Status.Workloads[0]; got.State != tc.want || got.Attempts != 1 {
				t.Errorf("the workload is %s after %d attempts, want %s after one: %s", got.State, got.Attempts, tc.want, tc.why)
			}
		})
	}
}
