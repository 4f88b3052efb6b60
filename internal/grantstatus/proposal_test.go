// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

func asking() *v1alpha1.PullAccessPolicy {
	return &v1alpha1.PullAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "uid", Generation: 3},
		Spec:       v1alpha1.PullAccessPolicySpec{Mode: v1alpha1.ModeApprove},
	}
}

// TestLeaveOf: the zero values ask, and nothing but Approved, in time and under the
// very policy, gives leave where a person is asked.
func TestLeaveOf(t *testing.T) {
	enforcing := asking()
	enforcing.Spec.Mode = v1alpha1.ModeEnforce
	later := asking()
	later.Generation++
	odd := asking()
	odd.Spec.Mode = "Odd"
	review := func(d v1alpha1.ReviewDecision) *v1alpha1.Review { return &v1alpha1.Review{Decision: d, User: "ann"} }
	day := 24 * time.Hour
	tests := map[string]struct {
		proposed bool
		review   *v1alpha1.Review
		taken    time.Duration
		policy   *v1alpha1.PullAccessPolicy
		at       time.Duration
		want     Leave
		end      v1alpha1.EndReason
		why      string
	}{
		"zero policy":               {policy: &v1alpha1.PullAccessPolicy{}, want: LeaveToAsk},
		"a mode that is not known":  {policy: odd, want: LeaveToAsk},
		"enforced":                  {policy: enforcing, want: LeaveGiven},
		"enforced, was asked":       {proposed: true, policy: func() *v1alpha1.PullAccessPolicy { p := later.DeepCopy(); p.Spec.Mode = v1alpha1.ModeEnforce; return p }(), want: LeaveRefused, end: v1alpha1.EndPolicyChanged},
		"not asked yet":             {policy: asking(), want: LeaveToAsk},
		"approved, and never asked": {review: review(v1alpha1.ReviewApproved), policy: asking(), want: LeaveToAsk, why: "there was nothing to approve"},
		"asked":                     {proposed: true, policy: asking(), at: day - time.Second, want: LeavePending},
		"lapsed":                    {proposed: true, policy: asking(), at: day, want: LeaveRefused, end: v1alpha1.EndLapsed},
		"approved":                  {proposed: true, review: review(v1alpha1.ReviewApproved), policy: asking(), at: time.Hour, want: LeaveGiven},
		"approved in time, read late": {
			proposed: true, review: review(v1alpha1.ReviewApproved), taken: day - time.Minute, policy: asking(), at: 2 * day, want: LeaveGiven,
			why: "the API server's word counts, not when the operator came to read it",
		},
		"approved late":                  {proposed: true, review: review(v1alpha1.ReviewApproved), taken: day + time.Minute, policy: asking(), at: 2 * day, want: LeaveRefused, end: v1alpha1.EndLapsed},
		"approved, nobody knows when":    {proposed: true, review: review(v1alpha1.ReviewApproved), policy: asking(), at: 2 * day, want: LeaveRefused, end: v1alpha1.EndLapsed},
		"approved under another":         {proposed: true, review: review(v1alpha1.ReviewApproved), policy: later, at: time.Hour, want: LeaveRefused, end: v1alpha1.EndPolicyChanged},
		"denied":                         {proposed: true, review: review(v1alpha1.ReviewDenied), policy: asking(), want: LeaveRefused, end: v1alpha1.EndDenied},
		"revoked":                        {proposed: true, review: review(v1alpha1.ReviewRevoked), policy: asking(), want: LeaveRefused, end: v1alpha1.EndDenied},
		"a decision that makes no sense": {proposed: true, review: review(""), policy: asking(), want: LeaveRefused, end: v1alpha1.EndDenied},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.PullAccessGrant{}
			if tc.proposed {
				Propose(g, asking(), now)
			}
			g.Status.Review = tc.review
			if tc.taken > 0 {
				g.ManagedFields = reviewedBy("kubectl", now.Add(tc.taken))
			}
			if got, end := LeaveOf(g, tc.policy, now.Add(tc.at)); got != tc.want || end != tc.end {
				t.Errorf("LeaveOf = %v %q, want %v %q (%s)", got, end, tc.want, tc.end, tc.why)
			}
		})
	}
}

// reviewedBy are the managed fields that the API server keeps of a review.
func reviewedBy(manager string, at time.Time) []metav1.ManagedFieldsEntry {
	taken := metav1.NewTime(at)
	own := func(fields, sub string, at *metav1.Time) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: sub, Time: at, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	early := metav1.NewTime(at.Add(-time.Hour))
	return []metav1.ManagedFieldsEntry{
		own(`{"f:spec":{"f:review":{}}}`, "", &early), own(`{"f:status":{"f:conditions":{}}}`, "status", &early), own(`nonsense`, "status", &early),
		own(`{"f:status":{"f:review":{".":{},"f:user":{}}}}`, "status", &taken),
	}
}

func TestReviewTime(t *testing.T) {
	g := &v1alpha1.PullAccessGrant{}
	if got := reviewTime(g); !got.IsZero() {
		t.Errorf("of nothing, reviewTime = %v", got)
	}
	g.ManagedFields = reviewedBy("kubectl", now)
	if got := reviewTime(g); !got.Equal(now) {
		t.Errorf("reviewTime = %v, want %v", got, now)
	}
}

// TestHistoryIsBounded: restarts make room first, and what was said by people stays.
func TestHistoryIsBounded(t *testing.T) {
	g := &v1alpha1.PullAccessGrant{}
	Note(g, v1alpha1.HistoryProposed, strings.Repeat("long ", 200), now)
	for range 3 * v1alpha1.MaxHistory {
		Note(g, v1alpha1.HistoryRestarted, "Deployment shop/web, attempt 1.", now)
	}
	if len(g.Status.History) != v1alpha1.MaxHistory || g.Status.History[0].Event != v1alpha1.HistoryProposed {
		t.Errorf("%d entries, the first is %s", len(g.Status.History), g.Status.History[0].Event)
	}
	if n := len(g.Status.History[0].Message); n > maxMessage {
		t.Errorf("a message of %d bytes is kept", n)
	}
	for range 2 * v1alpha1.MaxHistory {
		Note(g, v1alpha1.HistoryGranted, "", now)
	}
	if len(g.Status.History) != v1alpha1.MaxHistory || g.Status.History[0].Event != v1alpha1.HistoryGranted {
		t.Errorf("%d entries, the first is %s", len(g.Status.History), g.Status.History[0].Event)
	}
}

// TestLengthen: of each bound the longest holds, in whatever order the policies come.
func TestLengthen(t *testing.T) {
	hours := func(n int) *metav1.Duration { return &metav1.Duration{Duration: time.Duration(n) * time.Hour} }
	brief := v1alpha1.LifetimeSpec{ExpireAfter: hours(1), RevokeWhenUnusedFor: hours(2), WhenPolicyGone: v1alpha1.Revoke, AccountsUsedBy: v1alpha1.UsedByThisCluster}
	long := v1alpha1.LifetimeSpec{ExpireAfter: hours(3), RevokeWhenUnusedFor: hours(4), WhenPolicyGone: v1alpha1.Keep, AccountsUsedBy: v1alpha1.UsedBySeveralClusters}
	for name, order := range map[string][]v1alpha1.LifetimeSpec{"brief first": {brief, long}, "long first": {long, brief}} {
		g := &v1alpha1.PullAccessGrant{}
		g.Status.Origin = v1alpha1.OriginAdded
		Begin(g, order[0], now)
		Lengthen(g, "other", order[1], now)
		l := g.Status.Lifetime
		if !l.ExpireTime.Time.Equal(now.Add(3*time.Hour)) || l.RevokeWhenUnusedFor.Duration != 4*time.Hour || l.WhenPolicyGone != v1alpha1.Keep || !Stays(g) {
			t.Errorf("%s: it lasts %+v", name, l)
		}
		before := *g.Status.Lifetime.DeepCopy()
		Lengthen(g, "other", v1alpha1.LifetimeSpec{}, now.Add(time.Hour))
		if !equality.Semantic.DeepEqual(before, g.Status.Lifetime) {
			t.Errorf("%s: a policy that is known has lengthened it a second time", name)
		}
		Lengthen(g, "third", v1alpha1.LifetimeSpec{}, now)
		if l := g.Status.Lifetime; l.ExpireTime != nil || l.RevokeWhenUnusedFor != nil {
			t.Errorf("%s: with a policy that ends nothing it lasts %+v", name, l)
		}
	}
}
