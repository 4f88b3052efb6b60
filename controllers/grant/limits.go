// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// errLimitReached says that others have used up what a limit allows since the pass began;
// the next pass says so on the record.
var errLimitReached = errors.New("a limit of the policy holds it back")

// holdBack keeps from being added what the policies' limits do not allow now. A
// write that was begun goes on: it was counted then.
func (r *Reconciler) holdBack(ctx context.Context, w *work) error {
	byPolicy := map[string][]*v1alpha1.PullAccessGrant{}
	for _, g := range w.add {
		if !w.interrupted[g.Name] {
			byPolicy[grantstatus.PolicyName(g)] = append(byPolicy[grantstatus.PolicyName(g)], g)
		}
	}
	if len(byPolicy) == 0 {
		return nil
	}
	asked, err := r.asked(ctx)
	if err != nil {
		return err
	}
	for name, waiting := range byPolicy {
		policy := policyNamed(w.policies, name)
		which, free, until := r.reachedLimit(policy, asked[name], len(waiting))
		if free >= len(waiting) {
			continue
		}
		held := waiting[free:]
		sentence := limit.Sentence(which, name, limit.LimitsOf(policy.Spec.Limits), until)
		for _, g := range held {
			w.void[g] = refusal{string(which), metav1.ConditionFalse, sentence}
		}
		w.add = w.without(held).add
		w.wake(until)
		if err := r.noteReached(ctx, name, which, until); err != nil {
			return err
		}
	}
	return nil
}

// reachedLimit tells how many of those that wait may go on, and which limit holds the
// rest until when.
func (r *Reconciler) reachedLimit(policy *v1alpha1.PullAccessPolicy, asked map[imageref.Repository]time.Time, waiting int) (which v1alpha1.Limit, free int, until time.Time) {
	now, limits := r.Clock.Now(), limit.LimitsOf(policy.Spec.Limits)
	if until := limit.BreakerResetTime(asked, limits, now); !until.IsZero() {
		return v1alpha1.LimitCircuitBreaker, 0, until
	}
	counts := policy.Status.Limits.Grants
	free = min(limit.Left(counts, limits.GrantsPerHour, now), waiting)
	// What goes on now is counted by then.
	until = limit.ResetTime(limit.Add(counts, free, now), limits.GrantsPerHour, now)
	return v1alpha1.LimitGrants, free, until
}

// asked says of each policy when each repository was last asked for under it.
func (r *Reconciler) asked(ctx context.Context) (map[string]map[imageref.Repository]time.Time, error) {
	var grants v1alpha1.PullAccessGrantList
	if err := r.Client.List(ctx, &grants); err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	asked := map[string]map[imageref.Repository]time.Time{}
	for i := range grants.Items {
		g := &grants.Items[i]
		policy, repository, at := grantstatus.PolicyName(g), imageref.Of(g.Spec.Repository), grantstatus.AskedTime(g)
		if asked[policy] == nil {
			asked[policy] = map[imageref.Repository]time.Time{}
		}
		if at.After(asked[policy][repository]) {
			asked[policy][repository] = at
		}
	}
	return asked, nil
}

// noteReached records on the policy that a limit holds something back.
func (r *Reconciler) noteReached(ctx context.Context, name string, which v1alpha1.Limit, until time.Time) error {
	news := false
	_, err := r.Policies.Change(ctx, r.Client, name, func(policy *v1alpha1.PullAccessPolicy) error {
		news = limit.Reach(&policy.Status.Limits, which, until)
		return nil
	})
	if err == nil && news {
		metrics.LimitReached(string(which))
	}
	return err
}

// spend counts, before they are added, those that were not counted yet. The policy's
// status is written under the version that was read: no two writers spend the same.
func (r *Reconciler) spend(ctx context.Context, w *work, adding []*v1alpha1.PullAccessGrant) error {
	due := map[string][]*v1alpha1.PullAccessGrant{}
	for _, g := range adding {
		if !w.interrupted[g.Name] && w.counted[g.Name] == "" {
			due[grantstatus.PolicyName(g)] = append(due[grantstatus.PolicyName(g)], g)
		}
	}
	for name, grants := range due {
		_, err := r.Policies.Change(ctx, r.Client, name, func(policy *v1alpha1.PullAccessPolicy) error {
			if len(grants) > limit.Left(policy.Status.Limits.Grants, limit.LimitsOf(policy.Spec.Limits).GrantsPerHour, r.Clock.Now()) {
				return errLimitReached
			}
			policy.Status.Limits.Grants = limit.Add(policy.Status.Limits.Grants, len(grants), r.Clock.Now())
			return nil
		})
		if err != nil {
			return fmt.Errorf("count grants under policy %s: %w", name, err)
		}
		for _, g := range grants {
			w.counted[g.Name] = name
		}
	}
	return nil
}

// refund takes back the count of a grant of which it is settled, and on record, that
// nothing came.
func (r *Reconciler) refund(ctx context.Context, w *work, g *v1alpha1.PullAccessGrant) error {
	name := w.counted[g.Name]
	if name == "" {
		return nil
	}
	delete(w.counted, g.Name)
	_, err := r.Policies.Change(ctx, r.Client, name, func(policy *v1alpha1.PullAccessPolicy) error {
		policy.Status.Limits.Grants = limit.Add(policy.Status.Limits.Grants, -1, r.Clock.Now())
		return nil
	})
	return err
}
