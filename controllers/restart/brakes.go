// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
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
	policy := &v1alpha1.PullAccessPolicy{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, policy); err != nil {
		return spent{}, fmt.Errorf("read policy %s: %w", name, err)
	}
	before, now, limit := policy.DeepCopy(), r.Clock.Now(), brake.LimitsOf(policy.Spec.Brakes).RestartsPerHour
	counts := &policy.Status.Brakes.Restarts
	free := min(brake.Left(*counts, limit, now), n)
	*counts = brake.Add(*counts, free, now)
	news := free < n && brake.Trip(&policy.Status.Brakes, v1alpha1.BrakeRestarts, brake.Opens(*counts, limit, now))
	if err := outcome.PatchStatus(ctx, r.Client, before, policy); err != nil {
		return spent{}, err
	}
	if news {
		metrics.BrakeTripped(string(v1alpha1.BrakeRestarts))
	}
	return spent{policy, free}, nil
}

// refund takes back what was counted for restarts that did not get on record because
// of why. Where it is not certain that they did not, it stays counted. It goes by the
// policies as the counts have left them: the cache is behind.
func (r *Reconciler) refund(ctx context.Context, counted []spent, why error) error {
	if apierrors.ReasonForError(why) == "" || apierrors.IsTimeout(why) || apierrors.IsServerTimeout(why) || apierrors.IsInternalError(why) {
		return nil
	}
	var errs []error
	for _, s := range counted {
		before := s.policy.DeepCopy()
		s.policy.Status.Brakes.Restarts = brake.Add(s.policy.Status.Brakes.Restarts, -s.n, r.Clock.Now())
		errs = append(errs, outcome.PatchStatus(ctx, r.Client, before, s.policy))
	}
	return errors.Join(errs...)
}
