// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestWantOfALookHidesNoOtherEnd: an end for want of use that no look has confirmed is
// in the way of neither expiry nor want of a policy.
func TestWantOfALookHidesNoOtherEnd(t *testing.T) {
	since, expires := metav1.NewTime(now.Add(-time.Hour)), metav1.NewTime(now.Add(time.Second))
	unconfirmed := func() *v1alpha1.PullAccessGrant {
		g := &v1alpha1.PullAccessGrant{}
		Grant(g, v1alpha1.OriginAdded, "etag", now.Add(-9*time.Hour))
		g.Status.Lifetime = v1alpha1.Lifetime{RevokeWhenUnusedFor: &metav1.Duration{Duration: time.Hour}}
		g.Status.Usage.UnusedSinceTime = &since
		g.Status.Ending = &v1alpha1.Ending{Reason: v1alpha1.EndUnused, DueTime: metav1.NewTime(now)}
		return g
	}
	g := unconfirmed()
	if end, again := EndOf(g, true, now.Add(time.Minute)); Due(g, end, now.Add(time.Minute)) || !again.IsZero() {
		t.Errorf("without a look it ends by %+v, and is looked at again at %v", end, again)
	}
	g.Status.Lifetime.ExpireTime = &expires
	if _, again := EndOf(g, true, now); !again.Equal(expires.Time) {
		t.Errorf("it is looked at again at %v, want when it expires", again)
	}
	if end, _ := EndOf(g, true, now.Add(time.Minute)); !Due(g, end, now.Add(time.Minute)) || end.Reason != v1alpha1.EndExpired {
		t.Errorf("after its time it ends by %+v", end)
	}
	g = unconfirmed()
	end, again := EndOf(g, false, now.Add(time.Minute))
	if end.Reason != v1alpha1.EndPolicyGone || !again.Equal(end.DueTime.Time) {
		t.Errorf("without a policy it ends by %+v, and is looked at again at %v", end, again)
	}
}

// TestSecondLife: what is asked for anew begins anew, with all of its attempts.
func TestSecondLife(t *testing.T) {
	for _, state := range []v1alpha1.WorkloadState{v1alpha1.WorkloadRecovered, v1alpha1.WorkloadStuck} {
		g := &v1alpha1.PullAccessGrant{Spec: v1alpha1.PullAccessGrantSpec{Workload: workloadNamed("web"), Policy: "p"}}
		Grant(g, v1alpha1.OriginAdded, "etag", now)
		g.Status.Workloads[0].State, g.Status.Workloads[0].Attempts, g.Status.Workloads[0].RestartTime = state, 3, &metav1.Time{Time: now}
		g.Status.RecoveredWorkloads = 1
		End(g, v1alpha1.EndExpired, now.Add(720*time.Hour))
		Reopen(g, g.Spec.Workload, "q", now.Add(721*time.Hour))
		Grant(g, v1alpha1.OriginAdded, "etag", now.Add(721*time.Hour))
		w := g.Status.Workloads
		if len(w) != 1 || w[0].Attempts != 0 || w[0].RestartTime != nil || w[0].State != v1alpha1.WorkloadWaiting || w[0].Policy != "q" || g.Status.RecoveredWorkloads != 0 {
			t.Errorf("from %s the second life begins with %+v", state, w)
		}
	}
}
