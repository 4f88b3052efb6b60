// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// holdBack reserves what the pass is about to add or revoke, and removes from the pass
// what the policies' limits do not allow now. A write that was begun continues: it was
// counted then.
func (r *Reconciler) holdBack(ctx context.Context, w *work) error {
	r.holdRevocations(w)
	var waiting []*v1alpha1.PullAccessGrant
	for _, g := range w.add {
		if !w.interrupted[g.Name] {
			waiting = append(waiting, g)
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	requested, err := r.requested(ctx)
	if err != nil {
		return err
	}
	var held []*v1alpha1.PullAccessGrant
	for _, g := range waiting {
		policy := policyNamed(w.policies, grantstatus.PolicyName(g))
		hold, ok := r.reserveGrant(w, g, policy, requested[policy.Name])
		if ok {
			continue
		}
		held = append(held, g)
		w.wake(hold.ResetTime.Time)
		if hold.Limit != "" {
			w.void[g] = refusal{string(hold.Limit), metav1.ConditionFalse, limit.Sentence(policy.Name, limit.LimitsOf(policy.Spec.Limits), hold.ReachedLimit)}
		}
	}
	w.add = w.without(held).add
	return nil
}

// reserveGrant counts the grant, or tells which limit holds it back.
func (r *Reconciler) reserveGrant(w *work, g *v1alpha1.PullAccessGrant, policy *v1alpha1.PullAccessPolicy, requested map[imageref.Repository]time.Time) (limit.Hold, bool) {
	now, limits := r.Clock.Now(), limit.LimitsOf(policy.Spec.Limits)
	if until := limit.BreakerResetTime(requested, limits, now); !until.IsZero() {
		hold := limit.Hold{ReachedLimit: v1alpha1.ReachedLimit{Limit: v1alpha1.LimitCircuitBreaker, ResetTime: metav1.NewTime(until)}}
		hold.News = r.Ledger.Trip(limit.KeyOf(policy), until, now)
		countReached(hold)
		return hold, false
	}
	act := limit.Act{Policy: limit.KeyOf(policy), Limit: v1alpha1.LimitGrants, Namespace: limit.NamespaceOf(g)}
	return r.reserve(w, g, act, limits.GrantsPerHour)
}

// reserve counts an act for the grant. The count stays with the grant until its outcome is
// known.
func (r *Reconciler) reserve(w *work, g *v1alpha1.PullAccessGrant, act limit.Act, most int) (limit.Hold, bool) {
	n, hold := r.Ledger.Reserve(act, most, 1, r.Clock.Now())
	if n == 0 {
		countReached(hold)
		return hold, false
	}
	w.counted[g.Name] = act
	return limit.Hold{}, true
}

func countReached(hold limit.Hold) {
	if hold.News {
		metrics.LimitReached(string(hold.Limit))
	}
}

// holdRevocations holds back the revocations of grants that no policy names any more, as
// far as their limit does not allow them now.
func (r *Reconciler) holdRevocations(w *work) {
	var held []*v1alpha1.PullAccessGrant
	for _, g := range w.remove {
		if w.end[g] != v1alpha1.EndPolicyGone || w.interrupted[g.Name] {
			continue
		}
		act := limit.Act{Policy: limit.Key{Policy: grantstatus.PolicyName(g)}, Limit: v1alpha1.LimitRevocations}
		hold, ok := r.reserve(w, g, act, grantstatus.MaxRevocations(g))
		if ok {
			continue
		}
		held = append(held, g)
		delete(w.end, g)
		w.wake(hold.ResetTime.Time)
		if expires := g.Status.Lifetime.ExpireTime; expires != nil {
			w.wake(expires.Time) // No limit delays that.
		}
		if hold.Limit != "" {
			r.delayRevocation(w, g, hold.ResetTime)
		}
	}
	w.remove = w.without(held).remove
}

// delayRevocation puts on record that a limit delays the revocation, and emits an Event if
// none delayed it before.
func (r *Reconciler) delayRevocation(w *work, g *v1alpha1.PullAccessGrant, until metav1.Time) {
	var tell func()
	if g.Status.Ending != nil && g.Status.Ending.LimitedUntilTime == nil {
		tell = func() { events.GrantEnding(r.Recorder, g, r.policyOf(w, g), grantstatus.EndingSentence(g)) }
	}
	w.change(g, func() { grantstatus.DelayRevocation(g, until) }, tell)
}

// requested says of each policy when each repository was last requested under it. A grant
// that the operator itself revoked a short time before does not count.
func (r *Reconciler) requested(ctx context.Context) (map[string]map[imageref.Repository]time.Time, error) {
	var grants v1alpha1.PullAccessGrantList
	if err := r.Client.List(ctx, &grants); err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	requested := map[string]map[imageref.Repository]time.Time{}
	for i := range grants.Items {
		g := &grants.Items[i]
		if limit.Regrants(g) {
			continue
		}
		policy, repository, at := grantstatus.PolicyName(g), imageref.Of(g.Spec.Repository), grantstatus.AskedTime(g)
		if requested[policy] == nil {
			requested[policy] = map[imageref.Repository]time.Time{}
		}
		if at.After(requested[policy][repository]) {
			requested[policy][repository] = at
		}
	}
	return requested, nil
}

// releaseCount takes the grant off the count once it is certain, and on record, that nothing
// was sent for it.
func (r *Reconciler) releaseCount(w *work, g *v1alpha1.PullAccessGrant) {
	if act, counted := w.counted[g.Name]; counted {
		delete(w.counted, g.Name)
		r.Ledger.Release(act, 1, r.Clock.Now())
	}
}

// releaseUnsent takes those grants off the count whose removal was not necessary: another
// writer had removed the member.
func (r *Reconciler) releaseUnsent(w *work, removed []string) {
	for _, g := range slices.Clone(w.remove) {
		if !named(removed, g) && !w.interrupted[g.Name] {
			r.releaseCount(w, g)
		}
	}
}
