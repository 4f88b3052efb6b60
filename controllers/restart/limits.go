// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"fmt"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// spent is what was counted on one policy, which is as the count has left it.
type spent struct {
	policy *v1alpha1.PullAccessPolicy
	n      int
}

// holdBack counts the restarts that are due on the policies that they are done under,
// before they are put on record. What a policy's limit does not let through is put off,
// and only what it does waits for its turn: one policy's limit is not to slow down the
// restarts of another. What is put off is planned as if it were not due yet.
func (r *Reconciler) holdBack(ctx context.Context, grant *v1alpha1.PullAccessGrant, j *judgement) error {
	byPolicy := map[string][]int{}
	for _, i := range j.due {
		byPolicy[j.planned[i].Policy] = append(byPolicy[j.planned[i].Policy], i)
	}
	for name, due := range byPolicy {
		var waiting []int
		got, limited, err := r.spend(ctx, name, due, func(i int) bool {
			wait := r.othersFirst(j.planned[i].Workload, grant.Name)
			if wait > 0 {
				waiting = append(waiting, i)
				j.sooner(wait)
			}
			return wait == 0
		})
		if err != nil {
			return err
		}
		j.counted = append(j.counted, got)
		for _, i := range waiting {
			j.planned[i] = grant.Status.Workloads[i]
			delete(j.waits, i)
		}
		limits := limit.LimitsOf(got.policy.Spec.Limits)
		opens := limit.ResetTime(got.policy.Status.Limits.Restarts, limits.RestartsPerHour, r.Clock.Now())
		for _, i := range limited {
			w := grant.Status.Workloads[i]
			if w.State != v1alpha1.WorkloadRestarting {
				w.State, w.Message = v1alpha1.WorkloadWaiting, limit.Sentence(v1alpha1.LimitRestarts, name, limits, opens)
			}
			j.planned[i], j.waits[i] = w, opens.Sub(r.Clock.Now())
			j.sooner(j.waits[i])
		}
	}
	return nil
}

// spend counts those restarts under the policy that its limit lets through and that may
// begin, and names those that it does not let through.
func (r *Reconciler) spend(ctx context.Context, name string, due []int, mayBegin func(int) bool) (got spent, limited []int, _ error) {
	var news bool
	policy, err := r.Policies.Change(ctx, r.Client, name, func(policy *v1alpha1.PullAccessPolicy) error {
		now, most := r.Clock.Now(), limit.LimitsOf(policy.Spec.Limits).RestartsPerHour
		counts := &policy.Status.Limits.Restarts
		left := limit.Left(*counts, most, now)
		for _, i := range due {
			if got.n == left {
				limited = append(limited, i)
			} else if mayBegin(i) {
				got.n++
			}
		}
		*counts = limit.Add(*counts, got.n, now)
		news = len(limited) > 0 && limit.Reach(&policy.Status.Limits, v1alpha1.LimitRestarts, limit.ResetTime(*counts, most, now))
		return nil
	})
	if err != nil {
		return spent{}, nil, fmt.Errorf("count restarts under policy %s: %w", name, err)
	}
	if news {
		metrics.LimitReached(string(v1alpha1.LimitRestarts))
	}
	got.policy = policy
	return got, limited, nil
}

// refund takes back what was counted for restarts that did not get on record because
// of why. Where it is not certain that they did not, it stays counted.
func (r *Reconciler) refund(ctx context.Context, counted []spent, why error) error {
	if outcome.MayHaveLanded(why) {
		return nil
	}
	var errs []error
	for _, s := range counted {
		_, err := r.Policies.Change(ctx, r.Client, s.policy.Name, func(policy *v1alpha1.PullAccessPolicy) error {
			policy.Status.Limits.Restarts = limit.Add(policy.Status.Limits.Restarts, -s.n, r.Clock.Now())
			return nil
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
