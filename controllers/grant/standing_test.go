// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// set changes the status of the grant of nodes as another controller does.
func (w *world) set(edit func(*v1alpha1.PullAccessGrantStatus)) {
	w.Helper()
	g := w.grant(nodes)
	edit(&g.Status)
	if err := w.client.Status().Update(w.Context(), g); err != nil {
		w.Fatal(err)
	}
}

// TestRemovedByOthers: what somebody took out is told, and not put back; what the
// operator had only found there may be asked for anew.
func TestRemovedByOthers(t *testing.T) {
	tests := map[string]struct {
		origin  v1alpha1.GrantOrigin
		lookErr error
		want    string
		reopen  bool
		why     string
	}{
		"added":          {origin: v1alpha1.OriginAdded, want: "False RemovedExternally"},
		"found":          {origin: v1alpha1.OriginFound, want: "False Withdrawn", reopen: true, why: "another cluster's operator has taken back its own"},
		"cannot be read": {origin: v1alpha1.OriginAdded, lookErr: iampolicy.ErrForbidden, want: "True AccessGranted", why: "what is not known is not gone"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCloud(foreign)
			c.LookErr = tc.lookErr
			w := newWorld(t, c, enforcing(), granted(nodes, tc.origin))
			for range 3 {
				w.mustPass()
			}
			w.wantReaders(foreign)
			w.wantCondition(nodes, v1alpha1.ConditionGranted, tc.want)
			if len(c.Sent)+len(c.Edits) > 0 {
				t.Errorf("sent %+v (%s)", c.Sent, tc.why)
			}
			if got := grantstatus.MayReopen(w.grant(nodes), now); got != tc.reopen {
				t.Errorf("MayReopen = %v, want %v (%s)", got, tc.reopen, tc.why)
			}
			if c.Looks != 1 {
				t.Errorf("%d looks within %v, want one", c.Looks, checkEvery)
			}
		})
	}
}

// TestAReadOfBefore: right after a start, a read that knows nothing yet of the write of
// a moment ago does not make the operator forget what it has added.
func TestAReadOfBefore(t *testing.T) {
	g := granted(nodes, v1alpha1.OriginAdded)
	young := metav1.NewTime(now.Add(-settleAfter + time.Second))
	g.Status.GrantedTime = &young
	w := newWorld(t, newCloud(foreign), enforcing(), g)
	w.mustPass()
	w.wantCondition(nodes, v1alpha1.ConditionGranted, "True AccessGranted")
	w.at(now.Add(checkEvery))
	w.mustPass()
	w.wantCondition(nodes, v1alpha1.ConditionGranted, "False RemovedExternally")
}

func TestLooksAgain(t *testing.T) {
	w := newWorld(t, newCloud(nodes), enforcing(), granted(nodes, v1alpha1.OriginAdded))
	for range 2 {
		if result := w.mustPass(); result.RequeueAfter != checkEvery {
			t.Errorf("the next look is in %v, want %v", result.RequeueAfter, checkEvery)
		}
	}
	w.at(now.Add(checkEvery))
	w.mustPass()
	if w.cloud.Looks != 2 {
		t.Errorf("%d looks, want two", w.cloud.Looks)
	}
}

// since is when a grant became unused that may be so for a day.
var since = metav1.NewTime(now.Add(-24 * time.Hour))

// unused is a world in which that day is over.
func unused(t *testing.T) *world {
	t.Helper()
	g := granted(nodes, v1alpha1.OriginAdded)
	g.Status.Lifetime.RevokeWhenUnusedFor = &metav1.Duration{Duration: 24 * time.Hour}
	g.Status.Usage.UnusedSinceTime = &since
	return newWorld(t, newCloud(foreign, nodes), enforcing(), g)
}

// TestEndsUnused: announced for its grace period, and done only after a look that
// began no earlier has found no use.
func TestEndsUnused(t *testing.T) {
	w := unused(t)
	w.mustPass()
	end := w.grant(nodes).Status.Ending
	if end == nil || end.Reason != v1alpha1.EndUnused || !end.DueTime.Time.Equal(now.Add(v1alpha1.DefaultGracePeriod)) {
		t.Fatalf("announced %+v, want Unused after the grace period", end)
	}
	early, late := metav1.NewTime(end.DueTime.Add(-time.Second)), end.DueTime
	w.at(end.DueTime.Time)
	w.set(func(s *v1alpha1.PullAccessGrantStatus) { s.Usage.UnusedCheckedTime = &early })
	w.mustPass()
	w.wantReaders(foreign, nodes) // That look may have begun before a pod came.
	w.set(func(s *v1alpha1.PullAccessGrantStatus) { s.Usage.UnusedCheckedTime = &late })
	w.mustPass()
	w.wantReaders(foreign)
	w.wantCondition(nodes, v1alpha1.ConditionGranted, "False Unused")
}

// TestUsedAgain: use within the grace period calls the end off.
func TestUsedAgain(t *testing.T) {
	w := unused(t)
	w.mustPass()
	w.set(func(s *v1alpha1.PullAccessGrantStatus) { s.Usage = v1alpha1.Usage{LastUsedTime: &since} })
	w.mustPass()
	w.at(now.Add(48 * time.Hour))
	w.mustPass()
	w.wantReaders(foreign, nodes)
	if g := w.grant(nodes); g.Status.Ending != nil || told(g)[len(g.Status.History)-1] != v1alpha1.HistoryRevocationCancelled {
		t.Errorf("ending %+v, history %v", g.Status.Ending, told(g))
	}
}

// TestRenews: what is in use outlives its time only where the policy says so now,
// and is in force.
func TestRenews(t *testing.T) {
	used := metav1.NewTime(now.Add(-time.Hour))
	stale := metav1.NewTime(now.Add(-3 * time.Hour))
	renewing := func() *v1alpha1.PullAccessPolicy {
		p := lasting()
		p.Spec.Grant.Renew = v1alpha1.RenewWhileUsed
		return p
	}
	tests := map[string]struct {
		policy func() *v1alpha1.PullAccessPolicy
		usage  v1alpha1.Usage
		renews bool
		why    string
	}{
		"in use":               {renewing, v1alpha1.Usage{LastUsedTime: &used}, true, ""},
		"policy says never":    {lasting, v1alpha1.Usage{LastUsedTime: &used}, false, ""},
		"not known to be used": {renewing, v1alpha1.Usage{}, false, "unknown never permits"},
		"last seen long ago":   {renewing, v1alpha1.Usage{LastUsedTime: &stale}, false, ""},
		"unused since":         {renewing, v1alpha1.Usage{LastUsedTime: &used, UnusedSinceTime: &used}, false, ""},
		"policy paused": {func() *v1alpha1.PullAccessPolicy {
			p := renewing()
			p.Spec.Pause = &v1alpha1.PauseSpec{Reason: "x"}
			return p
		}, v1alpha1.Usage{LastUsedTime: &used}, false, ""},
		"policy set to dry run":   {func() *v1alpha1.PullAccessPolicy { p := renewing(); p.Spec.Mode = v1alpha1.ModeDryRun; return p }, v1alpha1.Usage{LastUsedTime: &used}, false, ""},
		"policy is there no more": {nil, v1alpha1.Usage{LastUsedTime: &used}, false, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := granted(nodes, v1alpha1.OriginAdded)
			grantstatus.Begin(g, lasting().Spec.Grant, now)
			g.Status.Usage = tc.usage
			w := newWorld(t, newCloud(foreign, nodes), g)
			if tc.policy != nil {
				if err := w.client.Create(t.Context(), tc.policy()); err != nil {
					t.Fatal(err)
				}
			}
			w.at(now.Add(7 * time.Minute))
			w.mustPass()
			w.at(now.Add(9 * time.Minute))
			w.mustPass()
			if tc.renews {
				w.wantReaders(foreign, nodes)
				if expires := w.grant(nodes).Status.Lifetime.ExpireTime; !expires.Time.Equal(now.Add(15 * time.Minute)) {
					t.Errorf("it expires at %v, want 8 minutes after it was renewed", expires)
				}
			} else {
				w.wantReaders(foreign)
			}
		})
	}
}

// TestStaysForOtherClusters: the record ends in every way, and the member stays.
func TestStaysForOtherClusters(t *testing.T) {
	shared := func() *v1alpha1.PullAccessGrant {
		g := granted(nodes, v1alpha1.OriginAdded)
		g.Status.Lifetime.AccountsUsedBy = v1alpha1.UsedBySeveralClusters
		return g
	}
	w := newWorld(t, newCloud(foreign, nodes), shared())
	w.mustPass()
	w.at(now.Add(v1alpha1.DefaultGracePeriod))
	w.mustPass()
	w.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
	w.wantReaders(foreign, nodes)

	w = newWorld(t, newCloud(foreign, nodes), enforcing(), shared())
	w.remove(w.grant(nodes))
	w.mustPass()
	if w.grant(nodes) != nil {
		t.Error("the deleted record is still there")
	}
	w.wantReaders(foreign, nodes)
	if said := strings.Join(w.recorder.said, ", "); !strings.Contains(said, "AccessKept ") {
		t.Errorf("said %q, and not that the member stays", said)
	}
}

// TestForceIsShown: after some refusals people are told how to do without Google.
func TestForceIsShown(t *testing.T) {
	w := newWorld(t, newCloud(foreign, nodes), enforcing(), granted(nodes, v1alpha1.OriginAdded))
	w.remove(w.grant(nodes))
	for i := range 4 {
		w.cloud.NextErr = []error{iampolicy.ErrForbidden}
		w.mustPass()
		message := ""
		for _, c := range w.grant(nodes).Status.Conditions {
			if c.Type == v1alpha1.ConditionReady {
				message = c.Message
			}
		}
		shown := strings.Contains(message, "remove-iam-policy-binding services --project=acme-prod-417") && strings.Contains(message, `"finalizers":null`)
		if shown != (i >= 2) {
			t.Errorf("after %d refusals it says %q", i+1, message)
		}
	}
	w.mustPass()
	if w.grant(nodes) != nil {
		t.Error("when Google gives in, the record is still there")
	}
	w.wantReaders(foreign)
}

// TestBoundsOfAllWhoWait: a workload that came before the write has its policy's say
// in how long it lasts.
func TestBoundsOfAllWhoWait(t *testing.T) {
	long := enforcing()
	long.Name = "long"
	long.Spec.Grant = v1alpha1.LifetimeSpec{WhenPolicyGone: v1alpha1.Keep, AccountsUsedBy: v1alpha1.UsedBySeveralClusters}
	g := requested(nodes)
	grantstatus.Join(g, v1alpha1.Workload{Kind: "Deployment", Namespace: "x", Name: "other", UID: "o"}, "long", now)
	w := newWorld(t, newCloud(foreign), lasting(), long, g)
	w.mustPass()
	w.at(now.Add(9 * time.Minute))
	w.mustPass()
	w.wantReaders(foreign, nodes)
	if l := w.grant(nodes).Status.Lifetime; l.ExpireTime != nil || l.WhenPolicyGone != v1alpha1.Keep || l.AccountsUsedBy != v1alpha1.UsedBySeveralClusters {
		t.Errorf("it lasts %+v, want as long as policy long has it", l)
	}
}

// TestRefusalsAreToldOnce: however often Google refuses to take a member out.
func TestRefusalsAreToldOnce(t *testing.T) {
	w := newWorld(t, newCloud(foreign, nodes), enforcing(), granted(nodes, v1alpha1.OriginAdded))
	w.answer(nodes, v1alpha1.ReviewRevoked)
	for range 10 {
		w.cloud.NextErr = []error{iampolicy.ErrForbidden}
		w.mustPass()
	}
	if n := len(w.recorder.said); n != 2 {
		t.Errorf("%d events, want one on the grant and one on its policy: %v", n, w.recorder.said)
	}
	if refusals := w.grant(nodes).Status.RefusedRevocations; refusals != 10 {
		t.Errorf("%d refusals are on record, want 10", refusals)
	}
}
