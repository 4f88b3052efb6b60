// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/message"
	"github.com/pull-access/pull-access-operator/internal/metrics"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// act does every restart that is on record and not seen to be done. Whatever was
// done already is found done.
func (r *Reconciler) act(ctx context.Context, grant *v1alpha1.PullAccessGrant, views map[int]view) error {
	var errs []error
	for i, v := range views {
		w := grant.Status.Workloads[i]
		if w.State != v1alpha1.WorkloadRestarting || w.RestartTime == nil {
			continue
		}
		done, err := r.restart(ctx, w, v)
		switch {
		case refused(err) && r.Clock.Since(w.RestartTime.Time) >= refusedFor:
			metrics.Restart("refused")
			errs = append(errs, r.giveUp(ctx, grant, i, err))
		case err != nil:
			metrics.Restart("failed")
			errs = append(errs, err)
		case done:
			metrics.Restart("done")
			r.tellRestart(ctx, grant, w, v)
		}
	}
	return errors.Join(errs...)
}

// restart replaces the pods that are stuck and older than the recorded restart.
// It reports whether it changed anything.
func (r *Reconciler) restart(ctx context.Context, w v1alpha1.WorkloadStatus, v view) (bool, error) {
	old := createdBefore(v.stuck, w.RestartTime.Time)
	if len(old) == 0 {
		return false, nil
	}
	done, at := false, w.RestartTime.Time
	if v.spec.strategy == v1alpha1.RestartRollout {
		if !workload.RestartedSince(v.live, at) {
			log.FromContext(ctx).Info("Restarting", w.Kind, klog.KRef(w.Namespace, w.Name), "attempt", w.Attempts)
		}
		var err error
		if done, err = workload.RolloutRestart(ctx, r.Client, v.live, at); err != nil {
			return false, err
		}
		if !v.live.Ordered {
			return done, nil
		}
	}
	for _, pod := range old {
		log.FromContext(ctx).Info("Deleting stuck pod", "Pod", klog.KObj(pod), "attempt", w.Attempts)
		if err := workload.DeletePod(ctx, r.Client, pod); err != nil {
			return false, err
		}
		done = true
	}
	return done, nil
}

// refusedFor is for how long a restart that is refused is tried again: an API server
// that has just begun refuses everybody until it has read the roles.
const refusedFor = time.Minute

// refused tells whether the API server will not have the restart: an admission
// policy, or the operator's own rights.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

// giveUp records that a restart was refused, so that it is not tried for ever.
func (r *Reconciler) giveUp(ctx context.Context, grant *v1alpha1.PullAccessGrant, i int, why error) error {
	before := grant.DeepCopy()
	grant.Status.Workloads[i] = leave(grant.Status.Workloads[i], pullfailure.Sanitize(message.RestartRejected(why.Error())))
	grantstatus.Summarise(grant)
	return outcome.PatchStatus(ctx, r.Client, before, grant)
}
