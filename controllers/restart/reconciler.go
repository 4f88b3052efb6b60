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
	"fmt"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get
// +kubebuilder:rbac:groups=apps,resources=deployments;statefulsets;daemonsets,verbs=get;patch
// +kubebuilder:rbac:groups=apps,resources=replicasets,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccesspolicies,verbs=list;watch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants,verbs=list;watch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants/status,verbs=patch

// Reconciler reconciles PullAccessGrants: the workloads on their record.
type Reconciler struct {
	// Client reads from the caches: pending Pods, namespaces, policies, grants.
	Client client.Client
	// Live reads the waiting workloads from the API server. Pods lists their pods.
	Live     client.Reader
	Pods     workload.Lister
	Pullers  workload.Pullers
	Owners   *workload.Owners
	Nodes    *workload.Nodes
	Recorder events.Recorder
	Clock    clock.PassiveClock
	// Ledger counts what the policies' limits are about.
	Ledger *limit.Ledger

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
	r.claims, r.looks, r.pace = newClaims(r.Clock), newLooks(r.Clock), rate.NewLimiter(restartsPerSecond, restartsAtOnce)
	return &r
}

// Reconcile looks after every workload on the grant's record.
func (r *Reconciler) Reconcile(ctx context.Context, grant *v1alpha1.PullAccessGrant) (reconcile.Result, error) {
	if grant.DeletionTimestamp != nil || !grantstatus.Granted(grant) || grant.Status.GrantedTime == nil {
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
		r.release(judged.counted, err)
		return outcome.Of(reconcile.Result{}, err)
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
