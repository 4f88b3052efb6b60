// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/brake"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// holdBack counts the restarts that are about to begin on the policies that they are
// done under, before they are put on record. What a policy does not allow now is put
// off: its plan is as if it were not due yet. It says when the next brake opens.
func (r *Reconciler) holdBack(ctx context.Context, grant *v1alpha1.PullAccessGrant, planned map[int]v1alpha1.WorkloadStatus, begun []int) (until time.Time, _ error) {
	byPolicy := map[string][]int{}
	for _, i := range begun {
		byPolicy[planned[i].Policy] = append(byPolicy[planned[i].Policy], i)
	}
	for name, due := range byPolicy {
		free, opens, sentence, err := r.spend(ctx, name, len(due))
		if err != nil {
			return time.Time{}, err
		}
		for _, i := range due[free:] {
			w := grant.Status.Workloads[i]
			if w.State != v1alpha1.WorkloadRestarting {
				w.State, w.Message = v1alpha1.WorkloadWaiting, sentence
			}
			planned[i] = w
		}
		if free < len(due) && (until.IsZero() || opens.Before(until)) {
			until = opens
		}
	}
	return until, nil
}

// spend counts up to n restarts under the policy, and tells how many may begin, and
// when the next may.
func (r *Reconciler) spend(ctx context.Context, name string, n int) (free int, opens time.Time, sentence string, _ error) {
	policy := &v1alpha1.PullAccessPolicy{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, policy); err != nil {
		return 0, time.Time{}, "", fmt.Errorf("read policy %s: %w", name, err)
	}
	before, now, limits := policy.DeepCopy(), r.Clock.Now(), brake.LimitsOf(policy.Spec.Brakes)
	counts := &policy.Status.Brakes.Restarts
	free = min(brake.Left(*counts, limits.RestartsPerHour, now), n)
	*counts = brake.Add(*counts, free, now)
	opens = brake.Opens(*counts, limits.RestartsPerHour, now)
	news := free < n && brake.Trip(&policy.Status.Brakes, v1alpha1.BrakeRestarts, opens)
	if err := outcome.PatchStatus(ctx, r.Client, before, policy); err != nil {
		return 0, time.Time{}, "", err
	}
	if news {
		metrics.BrakeTripped(string(v1alpha1.BrakeRestarts))
	}
	return free, opens, brake.Sentence(v1alpha1.BrakeRestarts, name, limits, opens), nil
}

// refund takes back the counts of restarts that did not get on record.
func (r *Reconciler) refund(ctx context.Context, before, grant *v1alpha1.PullAccessGrant) error {
	due := map[string]int{}
	for i := range before.Status.Workloads {
		if w := grant.Status.Workloads[i]; w.Attempts > before.Status.Workloads[i].Attempts {
			due[w.Policy]++
		}
	}
	var errs []error
	for name, n := range due {
		policy := &v1alpha1.PullAccessPolicy{}
		if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, policy); err != nil {
			errs = append(errs, fmt.Errorf("read policy %s: %w", name, err))
			continue
		}
		counted := policy.DeepCopy()
		policy.Status.Brakes.Restarts = brake.Add(policy.Status.Brakes.Restarts, -n, r.Clock.Now())
		errs = append(errs, outcome.PatchStatus(ctx, r.Client, counted, policy))
	}
	return errors.Join(errs...)
}
