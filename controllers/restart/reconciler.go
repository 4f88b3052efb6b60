// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package restart brings back the workloads that wait for a grant, once it will
// work, and records their recovery.
//
// It comes after the grant and is the last stage: it touches workloads and the
// grant's record, never the cloud's policies. A workload that has recovered by
// itself is left alone.
package restart

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/metrics"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/record"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get
// +kubebuilder:rbac:groups=apps,resources=deployments;statefulsets;daemonsets,verbs=get;patch
// +kubebuilder:rbac:groups=apps,resources=replicasets,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccesspolicies,verbs=list;watch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccesspolicies/status,verbs=patch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants,verbs=list;watch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants/status,verbs=patch

// Reconciler reconciles PullAccessGrants: the workloads on their record.
type Reconciler struct {
	// Client reads from the caches: pending Pods, namespaces, policies, grants.
	Client client.Client
	// Live reads from the API server the workloads that wait, and their pods.
	Live     client.Reader
	Pullers  workload.Pullers
	Owners   *workload.Owners
	Nodes    *workload.Nodes
	Recorder events.Recorder
	Clock    clock.PassiveClock
	// Policies are written by all that count on them.
	Policies *outcome.Policies

	claims *claims
	looks  *looks
	// pace spreads the restarts of all grants together.
	pace *rate.Limiter
}

// Restarts begin at most so many a second, after a first few at once: each has a
// Deployment's worth of pods pull at the same time, and a lost permission can have
// stopped hundreds of them.
const restartsPerSecond, restartsAtOnce = 10, 20

// New completes a reconciler.
func New(r Reconciler) *Reconciler {
	r.claims, r.looks, r.pace = newClaims(), newLooks(), rate.NewLimiter(restartsPerSecond, restartsAtOnce)
	return &r
}

// Reconcile looks after every workload on the grant's record.
func (r *Reconciler) Reconcile(ctx context.Context, grant *v1alpha1.PullAccessGrant) (reconcile.Result, error) {
	if grant.DeletionTimestamp != nil || !record.Granted(grant) || grant.Status.GrantedTime == nil {
		return reconcile.Result{}, nil
	}
	era := r.looks.era.Load()
	views, wake, err := r.observe(ctx, grant)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("observe: %w", err)
	}
	before := grant.DeepCopy()
	judged, err := r.judge(ctx, grant, views)
	if err == nil {
		// The restart's time is on record before the restart: a crash in between
		// leaves the next start the very same restart to do.
		err = outcome.PatchStatus(ctx, r.Client, before, grant)
	}
	if err != nil {
		return outcome.Of(reconcile.Result{}, errors.Join(err, r.refund(ctx, judged.counted, err)))
	}
	r.tell(ctx, before, grant, views)
	err = r.act(ctx, grant, views)
	if err == nil {
		r.remember(grant, views, judged, era)
	}
	if judged.wake > 0 && (wake == 0 || judged.wake < wake) {
		wake = judged.wake
	}
	return outcome.Of(reconcile.Result{RequeueAfter: wake}, err)
}

// judgement is what came of a pass.
type judgement struct {
	// wake is when to come back, waits the same for single workloads; 0 is only when
	// something happens. Who is held back by others has none of his own.
	wake  time.Duration
	waits map[int]time.Duration
	// counted are the restarts that were counted, also beside an error.
	counted []spent
}

// sooner has the pass come back by then at the latest.
func (j *judgement) sooner(after time.Duration) {
	if after > 0 && (j.wake == 0 || after < j.wake) {
		j.wake = after
	}
}

// judge brings the record up to date with what was seen.
func (r *Reconciler) judge(ctx context.Context, grant *v1alpha1.PullAccessGrant, views map[int]view) (judgement, error) {
	now := r.Clock.Now()
	j := judgement{waits: map[int]time.Duration{}}
	for _, v := range views {
		if !record.Effective(grant) && (v.pulled || v.started && len(v.stuck) == 0) {
			record.MarkEffective(grant, now)
			j.sooner(time.Second) // Those that were passed over are due by it.
		}
	}
	var due []int
	planned := map[int]v1alpha1.WorkloadStatus{}
	for _, i := range slices.Sorted(maps.Keys(views)) { // Who came first goes first.
		was := grant.Status.Workloads[i]
		w, after := plan(was, views[i], grant, now)
		if w.Attempts > was.Attempts {
			due = append(due, i)
		}
		planned[i], j.waits[i] = w, after
		j.sooner(after)
	}
	if err := r.holdBack(ctx, grant, planned, due, &j); err != nil {
		return j, err
	}
	for i, w := range planned {
		r.keep(grant, i, w)
	}
	record.Summarise(grant)
	return j, nil
}

// othersFirst tells how long a restart that is due waits for others: for another grant
// that has the workload restarted just now, or for its share of the pace.
func (r *Reconciler) othersFirst(w v1alpha1.Workload, grant string) time.Duration {
	now := r.Clock.Now()
	switch {
	case !r.claims.take(w, grant, now):
		return lookAgain
	case !r.pace.AllowN(now, 1):
		return time.Second
	}
	return 0
}

// remember keeps what was seen of those that are stuck: a pod that has started shows
// only in a live read, so that the others are looked at each time.
func (r *Reconciler) remember(grant *v1alpha1.PullAccessGrant, views map[int]view, judged judgement, era int64) {
	for i, after := range judged.waits {
		w, due := grant.Status.Workloads[i], time.Time{}
		if len(views[i].stuck) == 0 || views[i].pods == "" {
			continue
		}
		if after > 0 {
			due = r.Clock.Now().Add(after)
		}
		r.looks.keep(lookKey(grant.Name, w.Workload), look{seen(&grant.Status, w, views[i].pods), due}, era)
	}
}

// keep puts on record what was planned for one workload.
func (r *Reconciler) keep(grant *v1alpha1.PullAccessGrant, i int, w v1alpha1.WorkloadStatus) {
	if w.State == v1alpha1.WorkloadRecovered {
		grant.Status.RecoveredWorkloads++
	}
	if w.State == v1alpha1.WorkloadStuck {
		record.MarkIneffective(grant, r.Clock.Now())
	}
	if w.Attempts > grant.Status.Workloads[i].Attempts {
		record.Note(grant, v1alpha1.HistoryRestarted, fmt.Sprintf("%s %s/%s, attempt %d.", w.Kind, w.Namespace, w.Name, w.Attempts), r.Clock.Now())
	}
	grant.Status.Workloads[i] = w
}

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
	grant.Status.Workloads[i] = leave(grant.Status.Workloads[i], pullfailure.Sanitize("The API server refuses the restart: "+why.Error()))
	record.Summarise(grant)
	return outcome.PatchStatus(ctx, r.Client, before, grant)
}
