// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// holdBack reserves the restarts that are due under the policies of their workloads,
// before they are put on record. A restart that a limit holds back is planned as if it
// were not due yet. Only a restart that its limit allows waits for its turn: one policy's
// limit does not slow down the restarts of another.
func (r *Reconciler) holdBack(ctx context.Context, grant *v1alpha1.PullAccessGrant, j *judgement) error {
	policies := map[string]*v1alpha1.PullAccessPolicy{}
	for _, i := range j.due {
		name := j.planned[i].Policy
		if policies[name] == nil {
			policy := &v1alpha1.PullAccessPolicy{}
			if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, policy); err != nil {
				return fmt.Errorf("read policy %s: %w", name, err)
			}
			policies[name] = policy
		}
		r.reserve(grant, j, i, policies[name])
	}
	return nil
}

// reserve counts one restart, or delays it.
func (r *Reconciler) reserve(grant *v1alpha1.PullAccessGrant, j *judgement, i int, policy *v1alpha1.PullAccessPolicy) {
	now, limits := r.Clock.Now(), limit.LimitsOf(policy.Spec.Limits)
	act := limit.Act{Policy: limit.KeyOf(policy), Limit: v1alpha1.LimitRestarts, Namespace: j.planned[i].Namespace}
	n, hold := r.Ledger.Reserve(act, limits.RestartsPerHour, 1, now)
	switch {
	case n > 0:
		if wait := r.othersFirst(j.planned[i].Workload, grant.Name); wait > 0 {
			r.Ledger.Release(act, 1, now)
			j.delay(i, grant.Status.Workloads[i], wait)
			return
		}
		j.counted = append(j.counted, act)
	case hold.Limit == "": // The ledger does not know yet what earlier processes did.
		j.delay(i, grant.Status.Workloads[i], hold.ResetTime.Sub(now))
	default:
		if hold.News {
			metrics.LimitReached(string(hold.Limit))
		}
		w := grant.Status.Workloads[i]
		if w.State != v1alpha1.WorkloadRestarting {
			w.State, w.Message = v1alpha1.WorkloadWaiting, limit.Sentence(policy.Name, limits, hold.ReachedLimit)
		}
		j.planned[i], j.waits[i] = w, hold.ResetTime.Sub(now)
		j.sooner(j.waits[i])
	}
}

// delay leaves the workload on record as it was, and has the pass come back for it.
func (j *judgement) delay(i int, was v1alpha1.WorkloadStatus, wait time.Duration) {
	j.planned[i] = was
	delete(j.waits, i)
	j.sooner(wait)
}

// release takes restarts off the count that are not on record because of why. If they may
// be on record all the same, they stay counted.
func (r *Reconciler) release(counted []limit.Act, why error) {
	if outcome.MayHaveLanded(why) {
		return
	}
	for _, act := range counted {
		r.Ledger.Release(act, 1, r.Clock.Now())
	}
}
