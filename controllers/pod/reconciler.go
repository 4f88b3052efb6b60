// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pod takes one Pod from "cannot pull" to a PullAccessGrant that it
// waits for, or to a sentence that says why there is none.
//
// It is the first of the controllers. It writes no cloud and touches no
// workload: what it leaves behind is a grant for the grant controller to carry
// out, and the workload's name on it for the restart controller.
package pod

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/metrics"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=events,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=nodes;serviceaccounts,verbs=get
// +kubebuilder:rbac:groups=apps,resources=replicasets,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccesspolicies,verbs=list;watch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants,verbs=list;watch;create
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants/status,verbs=patch

// Reconciler reconciles Pods that cannot pull.
type Reconciler struct {
	// Client reads from the caches: pending Pods, policies, grants.
	Client client.Client
	// Live reads the pods that Events name and that are not pending.
	Live client.Reader
	// Events watches the kubelet's Events.
	Events   client.WithWatch
	Observer *facts.Observer
	Owners   *workload.Owners
	Recorder events.Recorder
	Clock    clock.PassiveClock
	// Grants are written by all that put on their record what waits for them.
	Grants *outcome.Grants

	memory memory
	heard  *heard
}

// New completes a reconciler.
func New(r Reconciler) *Reconciler {
	r.memory, r.heard = newMemory(), newHeard(r.Clock)
	return &r
}

// Reconcile looks at every container of pod that cannot pull.
func (r *Reconciler) Reconcile(ctx context.Context, pod *corev1.Pod) (reconcile.Result, error) {
	if pod.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	var errs []error
	var result reconcile.Result
	for _, failure := range r.failures(pod) {
		again, err := r.handle(ctx, pod, failure)
		if err != nil {
			errs = append(errs, fmt.Errorf("container %s: %w", failure.Container, err))
		}
		if again {
			result.RequeueAfter = unreadableAgain
		}
	}
	return outcome.Of(result, errors.Join(errs...))
}

// handle takes one failure through the judgement and acts on the outcome. It asks
// for another look where a fact could not be read, or a grant has no room.
func (r *Reconciler) handle(ctx context.Context, pod *corev1.Pod, failure pullfailure.Failure) (again bool, _ error) {
	in, err := r.Observer.Observe(ctx, pod, failure, r.memory.classify(pod, failure))
	if err != nil {
		return false, fmt.Errorf("observe: %w", err)
	}
	grant, refusal := decision.Decide(in)
	if refusal != nil {
		r.explain(ctx, pod, failure, in.Diagnosis, refusal)
		return in.Diagnosis.RetryAfter > 0, r.noteRefusal(ctx, in.Diagnosis, refusal)
	}
	return r.request(ctx, pod, failure, in.Diagnosis, grant)
}

// unreadableAgain is when a fact that was unreadable is asked for again.
const unreadableAgain = 30 * time.Second

// explain says why nothing is granted, once for each change of the answer.
// A refusal is an outcome: a change of the pod, the policies or the namespace
// brings us back, and only a fact that was unreadable is asked for again.
func (r *Reconciler) explain(ctx context.Context, pod *corev1.Pod, failure pullfailure.Failure, d diagnosis.Diagnosis, refusal *decision.Refusal) {
	if r.memory.changed(pod, failure, refusal.Reason+refusal.Sentence) {
		log.FromContext(ctx).V(1).Info("Refused a grant", "Pod", klog.KObj(pod), "container", failure.Container,
			"cause", d.Facts.Cause.Cause, "evidence", d.Facts.Cause.Evidence, "reason", refusal.Reason, "actor", d.Actor,
			"policy", refusal.Policy, "field", refusal.Field)
		events.Refused(r.Recorder, pod, failure.Container, refusal.Reason, refusal.Sentence, refusal.Command, d.Reason.Page())
		result := metrics.OutcomeRefuse
		if refusal.Reason == v1alpha1.ReasonDryRun {
			result = metrics.OutcomeDryRun
		}
		metrics.Decision(result, refusal.Reason)
	}
}
