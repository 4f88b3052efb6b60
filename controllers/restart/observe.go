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
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/message"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// observe sees to every workload on the record that is not done, by its place. It
// passes over those that are stuck as they were at the last look, and says when the
// first of them is due (0: none).
func (r *Reconciler) observe(ctx context.Context, grant *v1alpha1.PullAccessGrant) (views map[int]view, wake time.Duration, _ error) {
	views = map[int]view{}
	now := r.Clock.Now()
	if !hasWork(grant) {
		return views, 0, nil
	}
	byWorkload, err := r.failingPods(ctx, grant)
	if err != nil {
		return nil, 0, err
	}
	for i, w := range grant.Status.Workloads {
		if grantstatus.Done(w.State) {
			continue
		}
		own := byWorkload[workloadKey(w.Workload)]
		failing := failingOf(grant, w, own)
		if before, same := r.looks.same(lookKey(grant.Name, w.Workload), fingerprint(&grant.Status, w, failing), now); same {
			if until := before.due.Sub(now); until > 0 && (wake == 0 || until < wake) {
				wake = until
			}
			continue
		}
		v, err := r.observeWorkload(ctx, grant, w, own)
		if err != nil {
			return nil, 0, err
		}
		v.failing = failing
		views[i] = v
	}
	return views, wake, nil
}

func (r *Reconciler) observeWorkload(ctx context.Context, grant *v1alpha1.PullAccessGrant, w v1alpha1.WorkloadStatus, failing []failingPod) (view, error) {
	live, err := workload.Read(ctx, r.Live, w.Workload)
	if errors.Is(err, workload.ErrGone) {
		return view{gone: true}, nil
	}
	if err != nil {
		return view{}, err
	}
	v := view{live: live, idle: !live.Scaled}
	for _, f := range failing {
		switch {
		case f.denied:
			v.stuck = append(v.stuck, f.pod)
		case lasting[f.cause]:
			v.other = f.cause
		default:
			v.unclear = true
		}
	}
	if !grantstatus.Effective(grant) || len(v.stuck) == 0 {
		if err := r.observeLive(ctx, grant, w.Workload, &v); err != nil {
			return view{}, err
		}
	}
	if len(v.stuck) > 0 {
		if err := r.observePolicy(ctx, grant, w, &v); err != nil {
			return view{}, err
		}
		if v.lastAct, err = r.lastAct(ctx, w.Workload, live); err != nil {
			return view{}, err
		}
	}
	return v, nil
}

// observePolicy reads whether the workload's policy is still in force for its
// stuck pods, and how it wants them back.
func (r *Reconciler) observePolicy(ctx context.Context, grant *v1alpha1.PullAccessGrant, w v1alpha1.WorkloadStatus, v *view) error {
	var policy v1alpha1.PullAccessPolicy
	var subject decision.Pod
	err := r.Client.Get(ctx, client.ObjectKey{Name: w.Policy}, &policy)
	if err == nil {
		subject.Namespace = w.Namespace
		subject.NamespaceLabels, subject.NamespaceLabelsOmitted, err = workload.NamespaceLabels(ctx, r.Client, w.Namespace)
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read policy %s and namespace %s: %w", w.Policy, w.Namespace, err)
	}
	v.covered = err == nil
	for _, pod := range v.stuck {
		subject.Labels = pod.Labels
		v.covered = v.covered && decision.Covers(&policy, subject)
	}
	v.spec = specOf(&policy)
	v.leave = leftBecause(w, *v)
	if policy.Spec.Mode == v1alpha1.ModeApprove && (!grantstatus.ApprovedByPerson(grant) || grantstatus.PolicyName(grant) != policy.Name) {
		v.leave = message.RestartNotApproved(w.Policy)
	}
	return nil
}

// lastAct is when the workload was last restarted: by this operator, for any grant
// on which it stands, or by whoever else has left the mark of a rollout restart.
func (r *Reconciler) lastAct(ctx context.Context, w v1alpha1.Workload, live workload.Live) (time.Time, error) {
	var grants v1alpha1.PullAccessGrantList
	if err := r.Client.List(ctx, &grants, client.MatchingFields{byWorkload: workloadKey(w)}); err != nil {
		return time.Time{}, fmt.Errorf("list grants of %s %s/%s: %w", w.Kind, w.Namespace, w.Name, err)
	}
	last := live.RestartedAt()
	for i := range grants.Items {
		for _, other := range grants.Items[i].Status.Workloads {
			if grantstatus.Same(other.Workload, w) && other.RestartTime != nil && other.RestartTime.After(last) {
				last = other.RestartTime.Time
			}
		}
	}
	return last, nil
}

// specOf is what the policy says, and where it is silent what the API server's
// defaults say: they do not reach objects that are older than they are.
func specOf(policy *v1alpha1.PullAccessPolicy) restartSpec {
	said := policy.Spec.Restart
	spec := restartSpec{
		strategy: said.Strategy, delay: v1alpha1.DefaultRestartDelay, maxAttempts: said.MaxAttempts,
		cooldown: limit.LimitsOf(policy.Spec.Limits).RestartCooldown,
	}
	if said.Strategy == "" {
		spec.strategy = v1alpha1.RestartRollout
	}
	if said.Delay != nil {
		spec.delay = said.Delay.Duration
	}
	if said.MaxAttempts == 0 {
		spec.maxAttempts = v1alpha1.DefaultMaxAttempts
	}
	return spec
}

// leftBecause says why a workload is not restarted, "" if it may be.
func leftBecause(w v1alpha1.WorkloadStatus, v view) string {
	switch {
	case v.spec.strategy != v1alpha1.RestartRollout && v.spec.strategy != v1alpha1.RestartDeletePods:
		return message.RestartsOff(w.Policy)
	case v.live.Template == nil:
		return message.KindNotRestarted(w.Kind)
	case v.live.Paused:
		return message.RolloutsPaused
	}
	for _, pod := range v.stuck {
		if !v.live.Selects(pod) {
			return message.SelectorMismatch
		}
	}
	return ""
}
