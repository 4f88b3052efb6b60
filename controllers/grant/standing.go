// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// checkEvery is how often a repository's policy is looked at, whether what the
// operator granted still is there.
const checkEvery = 10 * time.Minute

// settleAfter is for how long a member that was just added counts as there without
// being looked for: a read may come from before the write, and what is taken for
// removed is never taken out.
const settleAfter = time.Minute

// lookAfter sees to the grants that are written: whether somebody else has taken
// their members out, and whether they have come to their end.
func (r *Reconciler) lookAfter(ctx context.Context, w *work, standing []*v1alpha1.PullAccessGrant) {
	if len(standing) == 0 {
		return
	}
	absent := r.absent(ctx, w, standing)
	virtual := diagnosis.IsVirtual(r.Cloud.Repository(ctx, w.repository))
	for _, g := range standing {
		hasPolicy := decision.Names(w.policies, w.repository, virtual, g.Spec.Member)
		switch {
		case grantstatus.RevokedByPerson(g):
			w.close(g, v1alpha1.EndRevoked)
		case slices.Contains(absent, g.Spec.Member) && !w.interrupted[g.Name] && r.Clock.Since(g.Status.GrantedTime.Time) >= settleAfter:
			r.gone(w, g)
		default:
			r.considerEnd(w, g, hasPolicy, virtual)
		}
	}
}

// absent names the members that are not there any more. It is asked for at the
// first pass and every so often; what cannot be read just now is asked for later.
func (r *Reconciler) absent(ctx context.Context, w *work, standing []*v1alpha1.PullAccessGrant) []string {
	now := r.Clock.Now()
	if last, known := r.checked.Get(w.repository); known {
		if at, ok := last.(time.Time); ok && now.Before(at.Add(checkEvery)) {
			w.wake(at.Add(checkEvery))
			return nil
		}
	}
	r.checked.Add(w.repository, now, 2*checkEvery)
	w.wake(now.Add(checkEvery))
	absent, err := r.Cloud.Absent(ctx, w.repository, members(standing))
	if err != nil {
		log.FromContext(ctx).V(1).Info("Could not look for members that were taken out", "repository", w.repository.String(), "reason", detail(err))
	}
	return absent
}

// begin has what was just written looked after from now on: that it stays, the edit
// having read the policy, and that it ends in time.
func (r *Reconciler) begin(w *work, g *v1alpha1.PullAccessGrant) {
	now := r.Clock.Now()
	r.checked.Add(w.repository, now, 2*checkEvery)
	w.wake(now.Add(checkEvery))
	end, again := grantstatus.EndOf(g, true, now)
	if end != nil {
		again = now // It is to be announced already.
	}
	w.wake(again)
}

// gone records that somebody else took the member out. It is not put back.
func (r *Reconciler) gone(w *work, g *v1alpha1.PullAccessGrant) {
	reason := v1alpha1.EndRemovedExternally
	if g.Status.Origin == v1alpha1.OriginFound {
		reason = v1alpha1.EndRemovedByOwner
	}
	w.change(g, func() { grantstatus.End(g, reason, r.Clock.Now()) }, func() { r.tellEnd(w, g, reason) })
}

// considerEnd asks whether the grant has come to its end: by time, for want of use,
// or because no policy names it any more. It is announced first, and done when due.
func (r *Reconciler) considerEnd(w *work, g *v1alpha1.PullAccessGrant, hasPolicy, virtual bool) {
	now := r.Clock.Now()
	policy := policyNamed(w.policies, grantstatus.PolicyName(g))
	permitted := policy != nil && decision.Permits(policy, w.repository, virtual, g.Spec.Member)
	end, again := grantstatus.EndOf(g, hasPolicy, now)
	if permitted && end != nil && end.Reason == v1alpha1.EndExpired {
		if renewed := g.DeepCopy(); grantstatus.Renew(renewed, policy.Spec.Grant, now) {
			w.change(g, func() {
				grantstatus.Announce(g, nil, now)
				grantstatus.Renew(g, policy.Spec.Grant, now)
			}, nil)
			end, again = grantstatus.EndOf(renewed, hasPolicy, now)
		}
	}
	switch {
	case grantstatus.Due(g, end, now):
		w.close(g, grantstatus.DueReason(g, end, now))
	case !equality.Semantic.DeepEqual(end, g.Status.Ending):
		w.change(g, func() { grantstatus.Announce(g, end, now) }, func() {
			if end != nil {
				events.GrantEnding(r.Recorder, g, r.policyOf(w, g), grantstatus.EndingSentence(g))
			}
		})
	case end == nil && w.interrupted[g.Name]:
		r.resume(w, g, permitted, policy)
	}
	w.wake(again)
}

// resume goes on with an end that was begun, and called off since: the member is
// put back where that is allowed, and else the end is completed.
func (r *Reconciler) resume(w *work, g *v1alpha1.PullAccessGrant, permitted bool, policy *v1alpha1.PullAccessPolicy) {
	if permitted {
		if leave, _ := grantstatus.LeaveOf(g, policy, r.Clock.Now()); leave == grantstatus.LeaveGiven {
			w.add = append(w.add, g)
			return
		}
	}
	w.close(g, v1alpha1.EndPolicyGone)
}

// tellEnd says why the grant has ended, to those who look at it and at its policy.
func (r *Reconciler) tellEnd(w *work, g *v1alpha1.PullAccessGrant, reason v1alpha1.EndReason) {
	sentence := grantstatus.Why(g)
	policy := r.policyOf(w, g)
	events.GrantEnded(r.Recorder, g, policy, string(reason), sentence)
	events.GrantEnded(r.Recorder, policy, g, string(reason), sentence)
	metrics.Grant(string(reason))
}
