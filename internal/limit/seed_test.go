// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

func counts(n int32, ago time.Duration) []v1alpha1.IntervalCount {
	if n == 0 {
		return nil
	}
	return []v1alpha1.IntervalCount{{StartTime: metav1.NewTime(now.Add(-ago).Truncate(stretch)), Count: n}}
}

// recorded is the record of a grant of namespace shop under policy prod.
func recorded(edit func(*v1alpha1.PullAccessGrant)) v1alpha1.PullAccessGrant {
	g := v1alpha1.PullAccessGrant{}
	g.Spec.Policy, g.Spec.Workload.Namespace = "prod", "shop"
	edit(&g)
	return g
}

func history(event v1alpha1.HistoryEvent, ago time.Duration) func(*v1alpha1.PullAccessGrant) {
	return func(g *v1alpha1.PullAccessGrant) {
		g.Status.History = append(g.Status.History, v1alpha1.HistoryEntry{Event: event, Time: metav1.NewTime(now.Add(-ago))})
	}
}

func TestSeed(t *testing.T) {
	const policyGone = v1alpha1.HistoryEvent(v1alpha1.EndPolicyGone)
	open := func(granted metav1.ConditionStatus, ending *v1alpha1.Ending) func(*v1alpha1.PullAccessGrant) {
		return func(g *v1alpha1.PullAccessGrant) {
			g.Status.Write = &v1alpha1.IAMPolicyWrite{IntentTime: metav1.NewTime(now)}
			g.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionGranted, Status: granted}}
			g.Status.Ending = ending
		}
	}
	tests := map[string]struct {
		status v1alpha1.LimitsStatus
		grants []v1alpha1.PullAccessGrant
		want   v1alpha1.LimitsStatus
		why    string
	}{
		"nothing": {},
		"deleted records": {
			status: v1alpha1.LimitsStatus{Grants: counts(3, 0), Restarts: counts(4, 0), Revocations: counts(5, 0)},
			want:   v1alpha1.LimitsStatus{Grants: counts(3, 0), Restarts: counts(4, 0), Revocations: counts(5, 0)},
			why:    "deleting a record refunds nothing",
		},
		"records before the status": {
			status: v1alpha1.LimitsStatus{Grants: counts(1, 0)},
			grants: []v1alpha1.PullAccessGrant{recorded(history(v1alpha1.HistoryGranted, 0)), recorded(history(v1alpha1.HistoryGranted, 0))},
			want:   v1alpha1.LimitsStatus{Grants: counts(2, 0)},
			why:    "the process ended before the policy's status was written",
		},
		"both in other intervals": {
			status: v1alpha1.LimitsStatus{Grants: counts(2, 30*time.Minute)},
			grants: []v1alpha1.PullAccessGrant{recorded(history(v1alpha1.HistoryGranted, 0))},
			want:   v1alpha1.LimitsStatus{Grants: append(counts(2, 30*time.Minute), counts(1, 0)...)},
		},
		"long ago": {
			status: v1alpha1.LimitsStatus{Grants: counts(2, 2*time.Hour)},
			grants: []v1alpha1.PullAccessGrant{recorded(history(v1alpha1.HistoryGranted, 2*time.Hour))},
		},
		"an open intent": {
			grants: []v1alpha1.PullAccessGrant{recorded(open(metav1.ConditionFalse, nil))},
			want:   v1alpha1.LimitsStatus{Grants: counts(1, 0)}, why: "it may have been sent",
		},
		"an open intent to revoke": {
			grants: []v1alpha1.PullAccessGrant{recorded(open(metav1.ConditionTrue, &v1alpha1.Ending{Reason: v1alpha1.EndPolicyGone}))},
			want:   v1alpha1.LimitsStatus{Revocations: counts(1, 0)},
		},
		"an open intent to revoke what expired": {
			grants: []v1alpha1.PullAccessGrant{recorded(open(metav1.ConditionTrue, &v1alpha1.Ending{Reason: v1alpha1.EndExpired}))},
			why:    "expiry has no limit",
		},
		"revoked": {
			grants: []v1alpha1.PullAccessGrant{recorded(history(policyGone, 0)), recorded(history(v1alpha1.HistoryEvent(v1alpha1.EndRevoked), 0))},
			want:   v1alpha1.LimitsStatus{Revocations: counts(1, 0)}, why: "a person's revocation has no limit",
		},
		"member kept": {
			grants: []v1alpha1.PullAccessGrant{recorded(func(g *v1alpha1.PullAccessGrant) {
				history(policyGone, 0)(g)
				g.Status.Lifetime.AccountsUsedBy = v1alpha1.UsedBySeveralClusters
			})},
			why: "nothing was revoked",
		},
		"restarts": {
			grants: []v1alpha1.PullAccessGrant{recorded(func(g *v1alpha1.PullAccessGrant) {
				at := metav1.NewTime(now)
				w := v1alpha1.WorkloadStatus{Policy: "prod", RestartTime: &at}
				other := w
				other.Policy = "other"
				g.Status.Workloads = []v1alpha1.WorkloadStatus{w, other, {Policy: "prod"}}
			})},
			want: v1alpha1.LimitsStatus{Restarts: counts(1, 0)}, why: "each workload counts under its own policy",
		},
		"another policy's grant": {
			grants: []v1alpha1.PullAccessGrant{recorded(func(g *v1alpha1.PullAccessGrant) {
				history(v1alpha1.HistoryGranted, 0)(g)
				g.Status.Policy = "other"
			})},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			policy := v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: prod.Policy, UID: prod.UID}}
			policy.Status.Limits = tc.status
			l := NewLedger()
			l.Seed([]v1alpha1.PullAccessPolicy{policy}, tc.grants, now)
			got, _ := l.Status(prod, LimitsOf(policy.Spec.Limits), now)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("seeded counts (-want +got):\n%s%s", diff, tc.why)
			}
		})
	}
}

// TestSeedKeepsSharesAndReachedLimits: a restart of the operator gives no namespace another
// share, and reports no limit twice.
func TestSeedKeepsSharesAndReachedLimits(t *testing.T) {
	policy := v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: prod.Policy, UID: prod.UID}}
	policy.Status.Limits.Reached = []v1alpha1.ReachedLimit{{Limit: v1alpha1.LimitGrants, Namespace: "shop", ResetTime: metav1.NewTime(now.Add(hour))}}
	l := NewLedger()
	l.Seed([]v1alpha1.PullAccessPolicy{policy}, []v1alpha1.PullAccessGrant{recorded(history(v1alpha1.HistoryGranted, 0))}, now)
	if n, hold := l.Reserve(grantIn("shop"), 2, 1, now); n != 0 || hold.Namespace != "shop" || hold.News {
		t.Errorf("Reserve = %d, %+v; want the used share", n, hold)
	}
	if n, _ := l.Reserve(grantIn("bank"), 2, 1, now); n != 1 {
		t.Error("another namespace has no share")
	}
}

// TestRevocationsOutliveThePolicy: they are counted by its name.
func TestRevocationsOutliveThePolicy(t *testing.T) {
	act := Act{Policy: Key{Policy: "prod"}, Limit: v1alpha1.LimitRevocations}
	l := NewLedger()
	l.Seed(nil, []v1alpha1.PullAccessGrant{recorded(history(v1alpha1.HistoryEvent(v1alpha1.EndPolicyGone), 0))}, now)
	if got := reserved(l, act, 3, 5, now); got != 2 {
		t.Errorf("%d reserved after one revocation, want 2 of 3", got)
	}
}
