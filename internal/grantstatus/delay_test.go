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

// delayed is a grant that no policy names. Its revocation was due, and a limit delays it.
func delayed() *v1alpha1.PullAccessGrant {
	g := &v1alpha1.PullAccessGrant{}
	Grant(g, v1alpha1.OriginAdded, "etag", now.Add(-9*time.Hour))
	Announce(g, &v1alpha1.Ending{Reason: v1alpha1.EndPolicyGone, DueTime: metav1.NewTime(now)}, now)
	DelayRevocation(g, metav1.NewTime(now.Add(time.Hour)))
	return g
}

// TestDelayIsKept: Ready names the limit until the grant ends or a policy names it again,
// also after the workloads on record have changed.
func TestDelayIsKept(t *testing.T) {
	ready := func(g *v1alpha1.PullAccessGrant) string {
		return meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady).Reason
	}
	g := delayed()
	Join(g, v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "web"}, "prod", now)
	if got := ready(g); got != string(v1alpha1.LimitRevocations) {
		t.Errorf("Ready is %s", got)
	}
	if end, _ := EndOf(g, false, now.Add(time.Hour)); !Due(g, end, now.Add(time.Hour)) || DueReason(g, end, now.Add(time.Hour)) != v1alpha1.EndPolicyGone {
		t.Errorf("after the delay the end is %+v", end)
	}
	end, _ := EndOf(g, true, now)
	Announce(g, end, now)
	if g.Status.Ending != nil || ready(g) == string(v1alpha1.LimitRevocations) {
		t.Errorf("a policy names it, and the end is %+v, Ready %s", g.Status.Ending, ready(g))
	}
	DelayRevocation(g, metav1.NewTime(now))
	if g.Status.Ending != nil {
		t.Error("a grant that does not end is delayed")
	}
}

func TestDueReason(t *testing.T) {
	hour := &metav1.Duration{Duration: time.Hour}
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(d)} }
	for name, tc := range map[string]struct {
		edit func(*v1alpha1.PullAccessGrantStatus)
		want v1alpha1.EndReason
		why  string
	}{
		"policy gone":         {want: v1alpha1.EndPolicyGone},
		"another end":         {edit: func(s *v1alpha1.PullAccessGrantStatus) { s.Ending.Reason = v1alpha1.EndExpired }, want: v1alpha1.EndExpired},
		"expired":             {edit: func(s *v1alpha1.PullAccessGrantStatus) { s.Lifetime.ExpireTime = at(0) }, want: v1alpha1.EndExpired},
		"not expired":         {edit: func(s *v1alpha1.PullAccessGrantStatus) { s.Lifetime.ExpireTime = at(time.Second) }, want: v1alpha1.EndPolicyGone},
		"unused":              {edit: unused(at(-time.Hour), at(0), hour), want: v1alpha1.EndUnused},
		"unused, unchecked":   {edit: unused(at(-time.Hour), nil, hour), want: v1alpha1.EndPolicyGone, why: "something may use it"},
		"checked too early":   {edit: unused(at(-time.Hour), at(-time.Second), hour), want: v1alpha1.EndPolicyGone},
		"unused for any time": {edit: unused(at(-time.Hour), at(0), nil), want: v1alpha1.EndPolicyGone},
	} {
		t.Run(name, func(t *testing.T) {
			g := delayed()
			if tc.edit != nil {
				tc.edit(&g.Status)
			}
			if got := DueReason(g, g.Status.Ending, now); got != tc.want {
				t.Errorf("DueReason = %s, want %s (%s)", got, tc.want, tc.why)
			}
		})
	}
}

func unused(since, checked *metav1.Time, period *metav1.Duration) func(*v1alpha1.PullAccessGrantStatus) {
	return func(s *v1alpha1.PullAccessGrantStatus) {
		s.Usage, s.Lifetime.RevokeWhenUnusedFor = v1alpha1.Usage{UnusedSinceTime: since, UnusedCheckedTime: checked}, period
	}
}

// TestUseIsCheckedDuringADelay: no limit delays a grant that nothing uses.
func TestUseIsCheckedDuringADelay(t *testing.T) {
	g := delayed()
	MarkUnused(g, now)
	if g.Status.Usage.UnusedCheckedTime == nil {
		t.Error("the look is not on record")
	}
	g.Status.Ending.LimitedUntilTime = nil
	if MarkUnused(g, now); g.Status.Usage.UnusedCheckedTime != nil {
		t.Error("without a limit the look is on record")
	}
}

func TestMaxRevocations(t *testing.T) {
	g := &v1alpha1.PullAccessGrant{}
	if got := MaxRevocations(g); got != v1alpha1.DefaultMaxRevocationsPerHour {
		t.Errorf("an unset limit is %d", got)
	}
	g.Status.Lifetime.MaxRevocationsPerHour = 3
	if got := MaxRevocations(g); got != 3 {
		t.Errorf("the limit on record is %d", got)
	}
}
