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
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/demand"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/explanation"
	"github.com/pull-access/pull-access-operator/internal/facts"
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
	// Live reads pods that an Event names and that are not pending, and pods that do not
	// fit into the cache.
	Live client.Reader
	// Events watches the kubelet's Events.
	Events   client.WithWatch
	Observer *facts.Observer
	Owners   *workload.Owners
	Recorder events.Recorder
	Clock    clock.PassiveClock
	// Grants are written by all that put on their record what waits for them.
	Grants *outcome.Grants
	// Demand is what each failing pod needs. Only this controller writes it.
	Demand *demand.Store

	memory memory
	heard  *heard
	reads  *liveReads
}

// New completes a reconciler.
func New(r Reconciler) *Reconciler {
	r.memory, r.reads = newMemory(), newLiveReads(r.Clock)
	r.heard = newHeard(r.Clock, r.reads)
	return &r
}

// reconcileNamed reads the pod and reconciles it. A pod that is gone needs nothing.
func (r *Reconciler) reconcileNamed(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	pod := &corev1.Pod{}
	err := podReader{r.Client, r.heard}.Get(ctx, request.NamespacedName, pod)
	if apierrors.IsNotFound(err) {
		r.Demand.Delete(request.NamespacedName)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return outcome.Of(reconcile.Result{}, fmt.Errorf("read pod: %w", err))
	}
	return r.Reconcile(ctx, pod)
}

// Reconcile evaluates every container of the pod that cannot pull.
func (r *Reconciler) Reconcile(ctx context.Context, pod *corev1.Pod) (reconcile.Result, error) {
	switch {
	case pod.DeletionTimestamp != nil:
		r.Demand.Delete(client.ObjectKeyFromObject(pod))
		return reconcile.Result{}, nil
	case workload.IsStub(pod):
		return r.reconcileLive(ctx, pod)
	}
	return r.evaluate(ctx, pod, time.Time{})
}

// judged is a failure of a pod, and the decision on it: a grant or a denial.
type judged struct {
	failure   pullfailure.Failure
	diagnosis diagnosis.Diagnosis
	grant     *decision.Grant
	denial    *decision.Refusal
}

// evaluate handles each failure of a complete pod, which is never a stub. It stores what
// the pod needs before it requests a grant. expires is when the need ends; zero if the
// cache holds the pod, and so tells when it is gone.
func (r *Reconciler) evaluate(ctx context.Context, pod *corev1.Pod, expires time.Time) (reconcile.Result, error) {
	all, err := r.judge(ctx, pod)
	errs := []error{err}
	owner, ownerErr := r.ownerOf(ctx, pod, all)
	errs = append(errs, ownerErr)
	var result reconcile.Result
	if err == nil && ownerErr == nil && !r.Demand.Set(client.ObjectKeyFromObject(pod), needsOf(all, owner), expires) {
		result.RequeueAfter = fullAgain
	}
	for _, j := range all {
		if j.grant != nil && ownerErr != nil {
			continue
		}
		after, err := r.handle(ctx, pod, j, owner)
		if err != nil {
			errs = append(errs, fmt.Errorf("container %s: %w", j.failure.Container, err))
		}
		if after > 0 && (result.RequeueAfter == 0 || after < result.RequeueAfter) {
			result.RequeueAfter = after
		}
	}
	return outcome.Of(result, errors.Join(errs...))
}

// judge decides on each failure of the pod.
func (r *Reconciler) judge(ctx context.Context, pod *corev1.Pod) ([]judged, error) {
	var all []judged
	var errs []error
	for _, failure := range r.failures(pod) {
		in, err := r.Observer.Observe(ctx, pod, failure, r.memory.classify(pod, failure))
		if err != nil {
			errs = append(errs, fmt.Errorf("container %s: observe: %w", failure.Container, err))
			continue
		}
		grant, denial := decision.Decide(in)
		all = append(all, judged{failure, in.Diagnosis, grant, denial})
	}
	return all, errors.Join(errs...)
}

// ownerOf returns the workload that owns the pod, if a grant needs to know.
func (r *Reconciler) ownerOf(ctx context.Context, pod *corev1.Pod, all []judged) (v1alpha1.Workload, error) {
	if !slices.ContainsFunc(all, func(j judged) bool { return j.grant != nil }) {
		return v1alpha1.Workload{}, nil
	}
	owner, err := r.Owners.Of(ctx, pod)
	if err != nil {
		return owner, fmt.Errorf("find owner: %w", err)
	}
	return owner, nil
}

// needsOf lists the grants that the pod needs.
func needsOf(all []judged, owner v1alpha1.Workload) []demand.Need {
	var needs []demand.Need
	for _, j := range all {
		if j.grant != nil {
			needs = append(needs, demand.Need{
				Repository: j.grant.Repository(), Member: j.grant.Member(), Policy: j.grant.Policy(), Mode: j.grant.Mode(), Workload: owner,
				Details: demand.Details{Image: j.failure.Image, Evidence: cut(j.diagnosis.Facts.Cause.Evidence), Unknowns: unknowns(j.diagnosis)},
			})
		}
	}
	return needs
}

// handle acts on the decision on one failure. It returns the delay until the next attempt
// if a fact could not be read or the grant has no room, otherwise 0.
func (r *Reconciler) handle(ctx context.Context, pod *corev1.Pod, j judged, owner v1alpha1.Workload) (after time.Duration, _ error) {
	if j.denial != nil {
		record, err := r.recordOf(ctx, j.diagnosis)
		if err != nil {
			return 0, err
		}
		r.explain(ctx, pod, j.failure, explanation.Input{Diagnosis: j.diagnosis, Refusal: j.denial, Record: record})
		return j.diagnosis.RetryAfter, r.noteRefusal(ctx, j.diagnosis, j.denial)
	}
	full, err := r.request(ctx, pod, j.failure, j.diagnosis, j.grant, owner)
	if full {
		after = fullAgain
	}
	return after, err
}

// fullAgain is the delay before a retry if the grant has no room for the workload, or the
// demand none for the pod.
const fullAgain = 30 * time.Second
