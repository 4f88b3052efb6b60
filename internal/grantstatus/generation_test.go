// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestObservedGeneration checks that each change of a status says which generation of the
// grant it describes, in the status and in Ready: kstatus waits as long as one is older.
func TestObservedGeneration(t *testing.T) {
	const generation = 7
	granted := func(g *v1alpha1.PullAccessGrant) { Grant(g, v1alpha1.OriginAdded, "etag-1", now) }
	for name, tc := range map[string]struct {
		before func(*v1alpha1.PullAccessGrant)
		change func(*v1alpha1.PullAccessGrant)
	}{
		"Join":             {change: func(g *v1alpha1.PullAccessGrant) { Join(g, workloadNamed("web"), "p", now) }},
		"Intend":           {change: func(g *v1alpha1.PullAccessGrant) { Intend(g, true, "etag-1", now) }},
		"Grant":            {change: granted},
		"Refuse an add":    {change: refuse},
		"Refuse a removal": {before: func(g *v1alpha1.PullAccessGrant) { granted(g); g.DeletionTimestamp = &metav1.Time{Time: now} }, change: refuse},
		"Propose":          {change: func(g *v1alpha1.PullAccessGrant) { Propose(g, &v1alpha1.PullAccessPolicy{}, now) }},
		"Approve": {
			before: func(g *v1alpha1.PullAccessGrant) {
				Propose(g, &v1alpha1.PullAccessPolicy{}, now)
				g.Status.Review = &v1alpha1.Review{Decision: v1alpha1.ReviewApproved, User: "ann@example.com"}
			},
			change: func(g *v1alpha1.PullAccessGrant) { Approve(g, now) },
		},
		"Announce": {before: granted, change: func(g *v1alpha1.PullAccessGrant) {
			Announce(g, &v1alpha1.Ending{Reason: v1alpha1.EndExpired, DueTime: metav1.NewTime(now)}, now)
		}},
		"Renew": {
			before: func(g *v1alpha1.PullAccessGrant) {
				granted(g)
				g.Status.Lifetime.ExpireTime = &metav1.Time{Time: now}
				MarkUsed(g, now)
			},
			change: func(g *v1alpha1.PullAccessGrant) {
				Renew(g, v1alpha1.LifetimeSpec{Renew: v1alpha1.RenewWhileUsed, ExpireAfter: &metav1.Duration{Duration: time.Hour}}, now)
			},
		},
		"End":       {before: granted, change: func(g *v1alpha1.PullAccessGrant) { End(g, v1alpha1.EndExpired, now) }},
		"Reopen":    {before: func(g *v1alpha1.PullAccessGrant) { End(g, v1alpha1.EndExpired, now) }, change: func(g *v1alpha1.PullAccessGrant) { Reopen(g, workloadNamed("web"), "p", now) }},
		"Summarise": {change: Summarise},
	} {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.PullAccessGrant{Spec: v1alpha1.PullAccessGrantSpec{Workload: workloadNamed("web"), Policy: "p"}}
			g.Generation = generation - 1
			if tc.before != nil {
				tc.before(g)
			}
			g.Generation = generation
			tc.change(g)
			if got := g.Status.ObservedGeneration; got != generation {
				t.Errorf("the status describes generation %d, want %d", got, generation)
			}
			if ready := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady); ready == nil || ready.ObservedGeneration != generation {
				t.Errorf("Ready is %+v, want generation %d", ready, generation)
			}
		})
	}
}

func refuse(g *v1alpha1.PullAccessGrant) {
	Refuse(g, metav1.ConditionFalse, v1alpha1.ReasonGranting, "Google denied the write.", true)
}
