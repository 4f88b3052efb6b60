// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/limit"
)

// counted returns the number of grants that count for the limit within the hour.
func (e *env) counted() int { return e.Counted(e.r.Ledger, v1alpha1.LimitGrants) }

// limited is a policy that allows so many grants in an hour, of which some are done.
func limited(most int32, done int) *v1alpha1.PullAccessPolicy {
	p := enforcing()
	p.Spec.Limits.MaxGrantsPerHour = most
	p.Status.Limits.Grants = limit.Add(nil, done, now.Add(-30*time.Minute))
	return p
}

// TestLimitHoldsGrants: one of two goes through, the other waits and goes on by
// itself, also under another process.
func TestLimitHoldsGrants(t *testing.T) {
	e := newEnv(t, readers(foreign), limited(3, 1), requested(nodes), requested(batch))
	result := e.mustPass()
	opens := now.Add(-30 * time.Minute).Add(time.Hour + 5*time.Minute)
	if want := opens.Sub(now); result.RequeueAfter > want || result.RequeueAfter <= 0 {
		t.Errorf("the next look is in %v, want at most %v", result.RequeueAfter, want)
	}
	if got := e.Cloud.Readers(repository.Name); len(got) != 2 {
		t.Fatalf("the readers are %v, want one more", got)
	}
	held := batch
	if condition(e.grant(batch), v1alpha1.ConditionGranted) == "True AccessGranted" {
		held = nodes
	}
	e.wantCondition(held, v1alpha1.ConditionGranted, "False GrantsPerHour")
	reached := e.Limits(e.r.Ledger).Reached
	if len(reached) != 1 || reached[0].Limit != v1alpha1.LimitGrants || reached[0].ResetTime.Time.Before(opens.Add(-5*time.Minute)) {
		t.Errorf("reached %+v, want GrantsPerHour until about %v", reached, opens)
	}
	e.restart()
	e.mustPass()
	if e.counted() != 2 || len(e.Cloud.Readers(repository.Name)) != 2 {
		t.Errorf("%d counted, readers %v: the limit did not outlive the process", e.counted(), e.Cloud.Readers(repository.Name))
	}
	e.at(reached[0].ResetTime.Time)
	e.mustPass()
	e.wantCondition(held, v1alpha1.ConditionGranted, "True AccessGranted")
	if e.counted() != 2 {
		t.Errorf("%d counted within the hour, want the two of it", e.counted())
	}
}

// TestLimitCountsWritesOnly: a member that is there, and one that Google refuses,
// use nothing up; a write that is begun twice counts once.
func TestLimitCountsWritesOnly(t *testing.T) {
	tests := map[string]struct {
		readers []string
		g       *v1alpha1.PullAccessGrant
		answers []controllertest.Answer
		refuse  map[string]error
		passes  int
		want    int
		why     string
	}{
		"written":          {g: requested(nodes), passes: 3, want: 1},
		"there already":    {readers: []string{nodes}, g: requested(nodes), passes: 3, want: 0, why: "nothing was written"},
		"refused":          {g: requested(nodes), refuse: map[string]error{nodes: iampolicy.ErrOrgPolicy}, passes: 5, want: 0, why: "else what is refused again and again would starve the rest"},
		"repeated by etag": {g: requested(nodes), answers: []controllertest.Answer{{Err: iampolicy.ErrConflict, Retry: true}, {Err: iampolicy.ErrConflict, Retry: true}}, passes: 1, want: 1},
		"unanswered":       {g: requested(nodes), answers: []controllertest.Answer{{Err: errUnanswered, Applied: true}}, passes: 3, want: 1, why: "it may have taken effect"},
		"interrupted":      {g: intended(nodes), passes: 2, want: 1, why: "the ledger was seeded with its intent"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, append([]string{foreign}, tc.readers...), limited(3, 0), tc.g)
			e.Cloud.Answers, e.Cloud.Refused = tc.answers, tc.refuse
			for range tc.passes {
				_, _ = e.pass()
			}
			if got := e.counted(); got != tc.want {
				t.Errorf("%d counted, want %d (%s)", got, tc.want, tc.why)
			}
		})
	}
}

// TestCircuitBreakerHoldsAll: more repositories are asked for at once than the policy takes
// for honest; nothing is written until that is over.
func TestCircuitBreakerHoldsAll(t *testing.T) {
	p := enforcing()
	p.Spec.Limits.CircuitBreaker = v1alpha1.CircuitBreakerSpec{MaxRepositories: 2, Window: &metav1.Duration{Duration: 10 * time.Minute}}
	mine := requested(nodes)
	mine.CreationTimestamp = metav1.NewTime(now)
	objects := []client.Object{p, mine}
	for i := range 2 {
		other := requested(nodes)
		other.Name = fmt.Sprintf("other-%d", i)
		other.Spec.Repository.Name = fmt.Sprintf("team-%d", i)
		other.CreationTimestamp = metav1.NewTime(now.Add(-time.Duration(i+1) * time.Minute))
		objects = append(objects, other)
	}
	e := newEnv(t, readers(foreign), objects...)
	if result := e.mustPass(); result.RequeueAfter != 8*time.Minute {
		t.Errorf("the next look is in %v, want when the first of three no longer counts", result.RequeueAfter)
	}
	e.wantReaders(foreign)
	e.wantCondition(nodes, v1alpha1.ConditionReady, "False CircuitBreaker")
	e.at(now.Add(8 * time.Minute))
	e.mustPass()
	e.wantReaders(foreign, nodes)
}

// TestReleaseGoesByWhatWasCounted: the intent cannot be put on record; nothing counts for
// nothing.
func TestReleaseGoesByWhatWasCounted(t *testing.T) {
	e := newEnv(t, readers(foreign), limited(3, 0), requested(nodes))
	conflicts := 0
	e.Faults = interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if _, ok := o.(*v1alpha1.PullAccessGrant); ok && conflicts < 5 {
				conflicts++
				return apierrors.NewConflict(schema.GroupResource{Resource: "pullaccessgrants"}, o.GetName(), nil)
			}
			return c.Patch(ctx, o, patch, opts...)
		},
	}
	for range 7 {
		_, _ = e.pass()
	}
	if e.counted() != 1 || len(e.Cloud.Sent) != 1 {
		t.Errorf("after %d conflicts %d are counted and %d written, want one of each", conflicts, e.counted(), len(e.Cloud.Sent))
	}
}

// TestNoNamespaceUsesTheWholeLimit: one namespace requests as much as it can; another one
// still has its share, and the sentence names the field and the reason.
func TestNoNamespaceUsesTheWholeLimit(t *testing.T) {
	in := func(namespace, member string) *v1alpha1.PullAccessGrant {
		g := requested(member)
		g.Spec.Workload.Namespace = namespace
		return g
	}
	e := newEnv(t, readers(foreign), limited(2, 0), in("shop", nodes))
	e.mustPass()
	e.Create(in("shop", batch), in("bank", spare))
	e.mustPass()
	e.wantReaders(foreign, nodes, spare)
	e.wantCondition(batch, v1alpha1.ConditionReady, "False GrantsPerHour")
	if text := grantstatus.Why(e.grant(batch)); !strings.Contains(text, "Namespace shop has used its share of the 2 grants") {
		t.Errorf("the grant says %q", text)
	}
}

// TestUnseededLedgerDelaysWrites: a process that does not know yet what earlier ones did
// adds and revokes nothing, and says nothing about a limit.
func TestUnseededLedgerDelaysWrites(t *testing.T) {
	for name, g := range map[string]*v1alpha1.PullAccessGrant{"requested": requested(nodes), "policy gone": goneAt(nodes, now)} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign), g)
			if name == "requested" {
				e.Create(enforcing())
			} else {
				e.Cloud.SetReaders(repository.Name, foreign, nodes)
			}
			ledger := e.r.Ledger
			e.r.Ledger = limit.NewLedger()
			before := e.Cloud.Readers(repository.Name)
			if result := e.mustPass(); result.RequeueAfter != time.Second || len(e.Cloud.Sent) > 0 {
				t.Errorf("Reconcile = %+v, sent %v; want a retry and no write", result, e.Cloud.Sent)
			}
			if held := condition(e.grant(nodes), v1alpha1.ConditionReady); strings.Contains(held, "PerHour") {
				t.Errorf("Ready is %s", held)
			}
			e.r.Ledger = ledger
			e.mustPass()
			if after := e.Cloud.Readers(repository.Name); len(before) == len(after) {
				t.Errorf("the readers are %v with a seeded ledger", after)
			}
		})
	}
}

// goneAt is a grant that no policy names, whose revocation is due then.
func goneAt(member string, due time.Time) *v1alpha1.PullAccessGrant {
	g := granted(member, v1alpha1.OriginAdded)
	grantstatus.Announce(g, &v1alpha1.Ending{Reason: v1alpha1.EndPolicyGone, DueTime: metav1.NewTime(due)}, now)
	return g
}

// revocationsLimited is goneAt with a limit of one revocation in an hour.
func revocationsLimited(member string) *v1alpha1.PullAccessGrant {
	g := goneAt(member, now)
	g.Status.Lifetime.MaxRevocationsPerHour = 1
	return g
}

// TestRevocationLimit: a policy was deleted. One grant is revoked, the other one waits,
// says why and how to go on, and is revoked when the limit resets, also by another process.
func TestRevocationLimit(t *testing.T) {
	e := newEnv(t, readers(foreign, nodes, batch), revocationsLimited(nodes), revocationsLimited(batch))
	e.mustPass()
	if got := e.Cloud.Readers(repository.Name); len(got) != 2 {
		t.Fatalf("the readers are %v, want one revocation", got)
	}
	held := nodes
	if condition(e.grant(nodes), v1alpha1.ConditionGranted) == "False PolicyGone" {
		held = batch
	}
	e.wantCondition(held, v1alpha1.ConditionGranted, "True AccessGranted")
	e.wantCondition(held, v1alpha1.ConditionReady, "False RevocationsPerHour")
	text := meta.FindStatusCondition(e.grant(held).Status.Conditions, v1alpha1.ConditionReady).Message
	for _, want := range []string{"maxRevocationsPerHour", "kubectl pullaccess revoke " + nameOf(held), "kubectl edit pullaccesspolicy prod"} {
		if !strings.Contains(text, want) {
			t.Errorf("Ready says %q, want it to contain %q", text, want)
		}
	}
	e.Recorder.Take()
	e.restart()
	e.mustPass()
	if events := e.Recorder.Take(); len(e.Cloud.Readers(repository.Name)) != 2 || len(events) > 0 {
		t.Errorf("another process sent %v and emitted %q", e.Cloud.Sent, events)
	}
	until := e.grant(held).Status.Ending.LimitedUntilTime
	if until == nil {
		t.Fatal("the end has no time")
	}
	e.at(until.Time)
	e.mustPass()
	e.wantReaders(foreign)
	e.wantCondition(held, v1alpha1.ConditionGranted, "False PolicyGone")
}

// TestOnlyPolicyGoneWaits: the limit of revocations is used up.
func TestOnlyPolicyGoneWaits(t *testing.T) {
	past := metav1.NewTime(now.Add(-time.Hour))
	for name, tc := range map[string]struct {
		edit   func(*env, *v1alpha1.PullAccessGrant)
		policy *v1alpha1.PullAccessPolicy
		// want is Granted after the pass, "" if the grant is gone.
		want string
		why  string
	}{
		"policy gone": {want: "True AccessGranted"},
		"expired too": {edit: func(_ *env, g *v1alpha1.PullAccessGrant) { g.Status.Lifetime.ExpireTime = &past }, want: "False Expired"},
		"unused too": {edit: func(_ *env, g *v1alpha1.PullAccessGrant) {
			checked := metav1.NewTime(now)
			g.Status.Lifetime.RevokeWhenUnusedFor = &metav1.Duration{Duration: time.Hour}
			g.Status.Usage = v1alpha1.Usage{UnusedSinceTime: &past, UnusedCheckedTime: &checked}
		}, want: "False Unused"},
		"revoked by a person": {edit: func(_ *env, g *v1alpha1.PullAccessGrant) {
			g.Status.Review = &v1alpha1.Review{Decision: v1alpha1.ReviewRevoked, User: "ann@example.com"}
		}, want: "False Revoked"},
		"deleted": {edit: func(e *env, g *v1alpha1.PullAccessGrant) { e.Delete(g) }, want: ""},
		"begun": {edit: func(_ *env, g *v1alpha1.PullAccessGrant) {
			grantstatus.Intend(g, false, "etag-of-then", now)
		}, want: "False PolicyGone", why: "an open intent is always completed"},
		"named again": {policy: enforcing(), want: "True AccessGranted"},
	} {
		t.Run(name, func(t *testing.T) {
			g := revocationsLimited(nodes)
			e := newEnv(t, readers(foreign, nodes), g)
			e.r.Ledger.Reserve(limit.Act{Policy: limit.Key{Policy: "prod"}, Limit: v1alpha1.LimitRevocations}, 1, 1, now)
			if tc.policy != nil {
				e.Create(tc.policy)
			}
			if tc.edit != nil {
				g = e.grant(nodes)
				tc.edit(e, g)
				if name != "deleted" {
					e.UpdateStatus(g)
				}
			}
			e.mustPass()
			got := ""
			if g := e.grant(nodes); g != nil {
				got = condition(g, v1alpha1.ConditionGranted)
			}
			if got != tc.want || (len(e.Cloud.Sent) > 0) != (tc.want != "True AccessGranted") {
				t.Errorf("Granted is %q after writes %+v, want %q (%s)", got, e.Cloud.Sent, tc.want, tc.why)
			}
			if name == "named again" && e.grant(nodes).Status.Ending != nil {
				t.Error("the revocation is still scheduled")
			}
		})
	}
}

// TestRevocationLimitIsCopied: the policy may be gone by the end.
func TestRevocationLimitIsCopied(t *testing.T) {
	p := enforcing()
	p.Spec.Limits.MaxRevocationsPerHour = 7
	e := newEnv(t, readers(foreign), p, requested(nodes))
	e.mustPass()
	if got := e.grant(nodes).Status.Lifetime.MaxRevocationsPerHour; got != 7 {
		t.Errorf("the grant has a limit of %d revocations, want 7", got)
	}
}

// TestRevocationsThatRemoveNothingDoNotCount: the member was gone, or stays.
func TestRevocationsThatRemoveNothingDoNotCount(t *testing.T) {
	kept := revocationsLimited(nodes)
	kept.Status.Lifetime.AccountsUsedBy = v1alpha1.UsedBySeveralClusters
	for name, g := range map[string]*v1alpha1.PullAccessGrant{"gone": revocationsLimited(nodes), "kept": kept} {
		t.Run(name, func(t *testing.T) {
			g.Status.GrantedTime = &metav1.Time{Time: now} // It is not looked for yet.
			e := newEnv(t, readers(foreign), g)
			e.mustPass()
			e.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
			if n := e.Counted(e.r.Ledger, v1alpha1.LimitRevocations); n != 0 {
				t.Errorf("%d revocations are counted", n)
			}
		})
	}
}

// TestRegrantsDoNotOpenTheCircuitBreaker: grants that expired together are requested
// together.
func TestRegrantsDoNotOpenTheCircuitBreaker(t *testing.T) {
	p := enforcing()
	p.Spec.Limits.CircuitBreaker = v1alpha1.CircuitBreakerSpec{MaxRepositories: 2, Window: &metav1.Duration{Duration: 10 * time.Minute}}
	objects := []client.Object{p, requested(nodes)}
	for i := range 5 {
		other := requested(nodes)
		other.Name = fmt.Sprintf("other-%d", i)
		other.Spec.Repository.Name = fmt.Sprintf("team-%d", i)
		grantstatus.End(other, v1alpha1.EndExpired, now.Add(-time.Hour))
		grantstatus.Reopen(other, other.Spec.Workload, "prod", now)
		objects = append(objects, other)
	}
	e := newEnv(t, readers(foreign), objects...)
	e.mustPass()
	e.wantReaders(foreign, nodes)
}

// TestRevokedWhileLimited: a grant that a person revoked is not written when the limit resets.
func TestRevokedWhileLimited(t *testing.T) {
	e := newEnv(t, readers(foreign), limited(1, 1), requested(nodes))
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False GrantsPerHour")
	e.answer(nodes, v1alpha1.ReviewRevoked)
	for _, after := range []time.Duration{0, 2 * time.Hour} {
		e.at(now.Add(after))
		e.mustPass()
		e.wantReaders(foreign)
		e.wantCondition(nodes, v1alpha1.ConditionGranted, "False Revoked")
	}
}
