// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/brake"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// spent is what was counted on one policy, which is as the count has left it.
type spent struct {
	policy *v1alpha1.PullAccessPolicy
	n      int
}

// holdBack counts the restarts that are about to begin on the policies that they are
// done under, before they are put on record. What a policy does not allow now is put
// off: its plan is as if it were not due yet. It says when the next brake opens, and
// what it has counted, also beside an error.
func (r *Reconciler) holdBack(ctx context.Context, grant *v1alpha1.PullAccessGrant, planned map[int]v1alpha1.WorkloadStatus, begun []int) (until time.Time, counted []spent, _ error) {
	byPolicy := map[string][]int{}
	for _, i := range begun {
		byPolicy[planned[i].Policy] = append(byPolicy[planned[i].Policy], i)
	}
	for name, due := range byPolicy {
		got, err := r.spend(ctx, name, len(due))
		if err != nil {
			return until, counted, err
		}
		counted = append(counted, got)
		limits := brake.LimitsOf(got.policy.Spec.Brakes)
		opens := brake.Opens(got.policy.Status.Brakes.Restarts, limits.RestartsPerHour, r.Clock.Now())
		for _, i := range due[got.n:] {
			w := grant.Status.Workloads[i]
			if w.State != v1alpha1.WorkloadRestarting {
				w.State, w.Message = v1alpha1.WorkloadWaiting, brake.Sentence(v1alpha1.BrakeRestarts, name, limits, opens)
			}
			planned[i] = w
		}
		if got.n < len(due) && (until.IsZero() || opens.Before(until)) {
			until = opens
		}
	}
	return until, counted, nil
}

// spend counts up to n restarts under the policy, as many as may begin.
func (r *Reconciler) spend(ctx context.Context, name string, n int) (spent, error) {
	var free int
	var news bool
	policy, err := r.Policies.Change(ctx, r.Client, name, func(policy *v1alpha1.PullAccessPolicy) error {
		now, limit := r.Clock.Now(), brake.LimitsOf(policy.Spec.Brakes).RestartsPerHour
		counts := &policy.Status.Brakes.Restarts
		free = min(brake.Left(*counts, limit, now), n)
		*counts = brake.Add(*counts, free, now)
		news = free < n && brake.Trip(&policy.Status.Brakes, v1alpha1.BrakeRestarts, brake.Opens(*counts, limit, now))
		return nil
	})
	if err != nil {
		return spent{}, fmt.Errorf("count restarts under policy %s: %w", name, err)
	}
	if news {
		metrics.BrakeTripped(string(v1alpha1.BrakeRestarts))
	}
	return spent{policy, free}, nil
}

// refund takes back what was counted for restarts that did not get on record because
// of why. Where it is not certain that they did not, it stays counted.
func (r *Reconciler) refund(ctx context.Context, counted []spent, why error) error {
	if apierrors.ReasonForError(why) == "" || apierrors.IsTimeout(why) || apierrors.IsServerTimeout(why) || apierrors.IsInternalError(why) {
		return nil
	}
	var errs []error
	for _, s := range counted {
		_, err := r.Policies.Change(ctx, r.Client, s.policy.Name, func(policy *v1alpha1.PullAccessPolicy) error {
			policy.Status.Brakes.Restarts = brake.Add(policy.Status.Brakes.Restarts, -s.n, r.Clock.Now())
			return nil
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
