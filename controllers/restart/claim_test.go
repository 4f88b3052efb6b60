// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
)

// TestOneGrantRestarts: a workload whose pods are on nodes of two accounts stands on two
// grants, and both come due in the same moment.
func TestOneGrantRestarts(t *testing.T) {
	e := newEnv(t, controllertest.Policy())
	judge := func(name string) (*v1alpha1.PullAccessGrant, time.Duration) {
		grant, views := allDue(1)
		grant.Name = name
		j, err := e.r.judge(t.Context(), grant, views)
		if err != nil {
			t.Fatal(err)
		}
		return grant, j.wake
	}
	if first, _ := judge("first"); first.Status.Workloads[0].Attempts != 1 {
		t.Fatalf("the first grant plans %+v, want a restart", first.Status.Workloads[0])
	}
	second, wake := judge("second")
	if w := second.Status.Workloads[0]; w.Attempts != 0 || w.State != v1alpha1.WorkloadWaiting || wake != lookAgain {
		t.Errorf("the second grant plans %+v and looks again in %v, want it to wait for %v", w, wake, lookAgain)
	}
	if again, _ := judge("first"); again.Status.Workloads[0].Attempts != 1 {
		t.Error("the first grant cannot repeat a plan that did not get on record")
	}
	e.Step(claimedFor + time.Second)
	if second, _ = judge("second"); second.Status.Workloads[0].Attempts != 1 {
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
