// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// set changes the status of the grant of nodes as another controller does.
func (e *env) set(edit func(*v1alpha1.PullAccessGrantStatus)) {
	e.Helper()
	g := e.grant(nodes)
	edit(&g.Status)
	e.UpdateStatus(g)
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
		"found":          {origin: v1alpha1.OriginFound, want: "False RemovedByOwner", reopen: true, why: "another cluster's operator has taken back its own"},
		"cannot be read": {origin: v1alpha1.OriginAdded, lookErr: iampolicy.ErrForbidden, want: "True AccessGranted", why: "what is not known is not gone"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign), enforcing(), granted(nodes, tc.origin))
			e.Cloud.NextErr[controllertest.MethodAbsent] = []error{tc.lookErr}
			for range 3 {
				e.mustPass()
			}
			e.wantReaders(foreign)
			e.wantCondition(nodes, v1alpha1.ConditionGranted, tc.want)
			if len(e.Cloud.Sent)+e.edits() > 0 {
				t.Errorf("sent %+v (%s)", e.Cloud.Sent, tc.why)
			}
			if got := grantstatus.MayReopen(e.grant(nodes), now); got != tc.reopen {
				t.Errorf("MayReopen = %v, want %v (%s)", got, tc.reopen, tc.why)
			}
			if e.looks() != 1 {
				t.Errorf("%d looks within %v, want one", e.looks(), checkEvery)
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
	e := newEnv(t, readers(foreign), enforcing(), g)
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "True AccessGranted")
	e.at(now.Add(checkEvery))
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False RemovedExternally")
}

func TestLooksAgain(t *testing.T) {
	e := newEnv(t, readers(nodes), enforcing(), granted(nodes, v1alpha1.OriginAdded))
	for range 2 {
		if result := e.mustPass(); result.RequeueAfter != checkEvery {
			t.Errorf("the next look is in %v, want %v", result.RequeueAfter, checkEvery)
		}
	}
	e.at(now.Add(checkEvery))
	e.mustPass()
	if e.looks() != 2 {
		t.Errorf("%d looks, want two", e.looks())
	}
}

// since is when a grant became unused that may be so for a day.
var since = metav1.NewTime(now.Add(-24 * time.Hour))

// unused is an environment in which that day is over.
func unused(t *testing.T) *env {
	t.Helper()
	g := granted(nodes, v1alpha1.OriginAdded)
	g.Status.Lifetime.RevokeWhenUnusedFor = &metav1.Duration{Duration: 24 * time.Hour}
	g.Status.Usage.UnusedSinceTime = &since
	return newEnv(t, readers(foreign, nodes), enforcing(), g)
}

// TestEndsUnused: announced for its grace period, and done only after a look that
// began no earlier has found no use.
func TestEndsUnused(t *testing.T) {
	e := unused(t)
	e.mustPass()
	end := e.grant(nodes).Status.Ending
	if end == nil || end.Reason != v1alpha1.EndUnused || !end.DueTime.Time.Equal(now.Add(v1alpha1.DefaultGracePeriod)) {
		t.Fatalf("announced %+v, want Unused after the grace period", end)
	}
	early, late := metav1.NewTime(end.DueTime.Add(-time.Second)), end.DueTime
	e.at(end.DueTime.Time)
	e.set(func(s *v1alpha1.PullAccessGrantStatus) { s.Usage.UnusedCheckedTime = &early })
	e.mustPass()
	e.wantReaders(foreign, nodes) // That look may have begun before a pod came.
	e.set(func(s *v1alpha1.PullAccessGrantStatus) { s.Usage.UnusedCheckedTime = &late })
	e.mustPass()
	e.wantReaders(foreign)
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False Unused")
}

// TestUsedAgain: use within the grace period calls the end off.
func TestUsedAgain(t *testing.T) {
	e := unused(t)
	e.mustPass()
	e.set(func(s *v1alpha1.PullAccessGrantStatus) { s.Usage = v1alpha1.Usage{LastUsedTime: &since} })
	e.mustPass()
	e.at(now.Add(48 * time.Hour))
	e.mustPass()
	e.wantReaders(foreign, nodes)
	if g := e.grant(nodes); g.Status.Ending != nil || told(g)[len(g.Status.History)-1] != v1alpha1.HistoryRevocationCancelled {
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
			e := newEnv(t, readers(foreign, nodes), g)
			if tc.policy != nil {
				e.Create(tc.policy())
			}
			e.at(now.Add(7 * time.Minute))
			e.mustPass()
			e.at(now.Add(9 * time.Minute))
			e.mustPass()
			if tc.renews {
				e.wantReaders(foreign, nodes)
				if expires := e.grant(nodes).Status.Lifetime.ExpireTime; !expires.Time.Equal(now.Add(15 * time.Minute)) {
					t.Errorf("it expires at %v, want 8 minutes after it was renewed", expires)
				}
			} else {
				e.wantReaders(foreign)
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
	e := newEnv(t, readers(foreign, nodes), shared())
	e.mustPass()
	e.at(now.Add(v1alpha1.DefaultGracePeriod))
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
	e.wantReaders(foreign, nodes)

	e = newEnv(t, readers(foreign, nodes), enforcing(), shared())
	e.Delete(e.grant(nodes))
	e.mustPass()
	if e.grant(nodes) != nil {
		t.Error("the deleted record is still there")
	}
	e.wantReaders(foreign, nodes)
	if said := strings.Join(e.Recorder.Events(), ", "); !strings.Contains(said, "AccessKept ") {
		t.Errorf("said %q, and not that the member stays", said)
	}
}

// TestForceIsShown: after some refusals people are told how to do without Google.
func TestForceIsShown(t *testing.T) {
	e := newEnv(t, readers(foreign, nodes), enforcing(), granted(nodes, v1alpha1.OriginAdded))
	e.Delete(e.grant(nodes))
	for i := range 4 {
		e.nextEdits(iampolicy.ErrForbidden)
		e.mustPass()
		message := ""
		for _, c := range e.grant(nodes).Status.Conditions {
			if c.Type == v1alpha1.ConditionReady {
				message = c.Message
			}
		}
		shown := strings.Contains(message, "remove-iam-policy-binding services --project=acme-prod ") && strings.Contains(message, `"finalizers":null`)
		if shown != (i >= 2) {
			t.Errorf("after %d refusals it says %q", i+1, message)
		}
	}
	e.mustPass()
	if e.grant(nodes) != nil {
		t.Error("when Google gives in, the record is still there")
	}
	e.wantReaders(foreign)
}

// TestBoundsOfAllWhoWait: a workload that came before the write has its policy's say
// in how long it lasts.
func TestBoundsOfAllWhoWait(t *testing.T) {
	long := enforcing()
	long.Name = "long"
	long.Spec.Grant = v1alpha1.LifetimeSpec{WhenPolicyGone: v1alpha1.Keep, AccountsUsedBy: v1alpha1.UsedBySeveralClusters}
	g := requested(nodes)
	grantstatus.Join(g, v1alpha1.Workload{Kind: "Deployment", Namespace: "x", Name: "other", UID: "o"}, "long", now)
	e := newEnv(t, readers(foreign), lasting(), long, g)
	e.mustPass()
	e.at(now.Add(9 * time.Minute))
	e.mustPass()
	e.wantReaders(foreign, nodes)
	if l := e.grant(nodes).Status.Lifetime; l.ExpireTime != nil || l.WhenPolicyGone != v1alpha1.Keep || l.AccountsUsedBy != v1alpha1.UsedBySeveralClusters {
		t.Errorf("it lasts %+v, want as long as policy long has it", l)
	}
}

// TestRefusalsAreToldOnce: however often Google refuses to take a member out.
func TestRefusalsAreToldOnce(t *testing.T) {
	e := newEnv(t, readers(foreign, nodes), enforcing(), granted(nodes, v1alpha1.OriginAdded))
	e.answer(nodes, v1alpha1.ReviewRevoked)
	for range 10 {
		e.nextEdits(iampolicy.ErrForbidden)
		e.mustPass()
	}
	if n := len(e.Recorder.Events()); n != 2 {
		t.Errorf("%d events, want one on the grant and one on its policy: %v", n, e.Recorder.Events())
	}
	if refusals := e.grant(nodes).Status.RefusedRevocations; refusals != 10 {
		t.Errorf("%d refusals are on record, want 10", refusals)
	}
}
