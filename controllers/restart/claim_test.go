// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
)

// TestOneGrantRestarts: a workload whose pods are on nodes of two accounts stands on two
// grants, and both come due in the same moment.
func TestOneGrantRestarts(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	policy := &v1alpha1.PullAccessPolicy{}
	policy.Name = "prod"
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(policy).WithStatusSubresource(policy).Build()
	clock := clocktesting.NewFakePassiveClock(granted)
	r := New(Reconciler{Client: c, Clock: clock, Policies: outcome.NewPolicies()})
	due := func(name string) (*v1alpha1.PullAccessGrant, time.Duration) {
		grant := grantedAt(nil)
		grant.Name = name
		grant.Status.Workloads = []v1alpha1.WorkloadStatus{{
			Workload: v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "web"}, Policy: "prod", State: v1alpha1.WorkloadWaiting,
		}}
		j, err := r.judge(t.Context(), grant, map[int]view{0: {
			stuck: stuckAt(-time.Minute), covered: true, spec: restartSpec{strategy: v1alpha1.RestartRollout, maxAttempts: 3},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return grant, j.wake
	}
	if first, _ := due("first"); first.Status.Workloads[0].Attempts != 1 {
		t.Fatalf("the first grant plans %+v, want a restart", first.Status.Workloads[0])
	}
	second, wake := due("second")
	if w := second.Status.Workloads[0]; w.Attempts != 0 || w.State != v1alpha1.WorkloadWaiting || wake != lookAgain {
		t.Errorf("the second grant plans %+v and looks again in %v, want it to wait for %v", w, wake, lookAgain)
	}
	if again, _ := due("first"); again.Status.Workloads[0].Attempts != 1 {
		t.Error("the first grant cannot repeat a plan that did not get on record")
	}
	clock.SetTime(granted.Add(claimedFor + time.Second))
	if second, _ = due("second"); second.Status.Workloads[0].Attempts != 1 {
		t.Error("the claim never ends")
	}
}

// TestClaimIsTakenOnce: of many that take it at the same time one gets it.
func TestClaimIsTakenOnce(t *testing.T) {
	c := newClaims(clocktesting.NewFakePassiveClock(granted))
	var got atomic.Int32
	var all sync.WaitGroup
	for _, grant := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		all.Go(func() {
			if c.take(v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "web"}, grant) {
				got.Add(1)
			}
		})
	}
	all.Wait()
	if n := got.Load(); n != 1 {
		t.Errorf("%d grants took the claim, want 1", n)
	}
}
