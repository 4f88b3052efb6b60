// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// workers is how many grants are looked after at once.
const workers = 8

// byGrantedRepository is the index of grants by the resource name of their repository.
const byGrantedRepository = "granted.repository"

// byWorkload is the index of grants by the workloads on their record.
const byWorkload = "status.workloads"

// SetupWithManager registers the reconciler and what wakes it: a change of the
// grant's record, a policy, and a Pod that begins or ceases to fail. A Pod that
// has started leaves the cache of pending Pods, which shows here as a deletion.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr manager.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &corev1.Pod{}, byFailingRepository, indexFailing); err != nil {
		return fmt.Errorf("index pods: %w", err)
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.PullAccessGrant{}, byGrantedRepository, indexGranted); err != nil {
		return fmt.Errorf("index grants: %w", err)
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.PullAccessGrant{}, byWorkload, indexWorkloads); err != nil {
		return fmt.Errorf("index grants: %w", err)
	}
	return builder.ControllerManagedBy(mgr).
		Named("restart").
		For(&v1alpha1.PullAccessGrant{}, builder.WithPredicates(moreToDo())).
		Watches(&corev1.Pod{}, r.soonTogether(), builder.WithPredicates(failingChanged())).
		Watches(&v1alpha1.PullAccessPolicy{}, handler.EnqueueRequestsFromMapFunc(r.openGrants),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconcile.AsReconciler(r.Client, r))
}

// moreToDo passes the grants that were just written, and those that have more
// workloads to look after than before. The rest of the status is our own word.
func moreToDo() predicate.TypedFuncs[client.Object] {
	waiting := func(object client.Object) int {
		grant, ok := object.(*v1alpha1.PullAccessGrant)
		if !ok || !grantstatus.Granted(grant) {
			return 0
		}
		n := 0
		for i := range grant.Status.Workloads {
			if grant.Status.Workloads[i].State == v1alpha1.WorkloadWaiting {
				n++
			}
		}
		return n
	}
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool { return waiting(e.ObjectNew) > waiting(e.ObjectOld) },
	}
}

// failingChanged passes the Pods that begin or cease to fail, and those that are no longer
// pending; a flap between two texts of one failure is neither.
func failingChanged() predicate.Funcs {
	failing := func(object client.Object) bool { return len(indexFailing(object)) > 0 }
	return predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return failing(e.Object) },
		UpdateFunc:  func(e event.UpdateEvent) bool { return failing(e.ObjectOld) != failing(e.ObjectNew) },
		DeleteFunc:  func(event.DeleteEvent) bool { return true },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// indexFailing names the repositories that a Pod cannot pull from.
func indexFailing(object client.Object) []string {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil
	}
	var names []string
	for _, f := range pullfailure.InPod(pod) {
		if image, err := imageref.Parse(f.Image); err == nil && !image.Repository.IsZero() {
			names = append(names, image.Repository.ResourceName())
		}
	}
	return names
}

func indexWorkloads(object client.Object) []string {
	grant, ok := object.(*v1alpha1.PullAccessGrant)
	if !ok {
		return nil
	}
	var keys []string
	for i := range grant.Status.Workloads {
		keys = append(keys, workloadKey(grant.Status.Workloads[i].Workload))
	}
	return keys
}

func workloadKey(w v1alpha1.Workload) string { return w.Kind + "/" + w.Namespace + "/" + w.Name }

func indexGranted(object client.Object) []string {
	grant, ok := object.(*v1alpha1.PullAccessGrant)
	if !ok {
		return nil
	}
	return []string{imageref.Of(grant.Spec.Repository).ResourceName()}
}

// together is how long a change of one Pod waits for those of others, so that a rollout
// of hundreds of them is looked at once a second.
const together = time.Second

// soonTogether wakes the grants of a Pod.
func (r *Reconciler) soonTogether() handler.EventHandler {
	enqueue := func(ctx context.Context, object client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		for _, request := range r.grantsFor(ctx, object) {
			queue.AddAfter(request, together)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(ctx, e.Object, queue)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(ctx, e.ObjectNew, queue)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(ctx, e.Object, queue)
		},
	}
}

// grantsFor lists the grants on the repositories of a Pod's images.
func (r *Reconciler) grantsFor(ctx context.Context, object client.Object) []reconcile.Request {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil
	}
	names := map[string]bool{}
	for _, image := range images(pod) {
		if parsed, err := imageref.Parse(image); err == nil && !parsed.Repository.IsZero() {
			names[parsed.Repository.ResourceName()] = true
		}
	}
	var requests []reconcile.Request
	for name := range names {
		requests = append(requests, r.list(ctx, client.MatchingFields{byGrantedRepository: name})...)
	}
	return requests
}

func (r *Reconciler) openGrants(ctx context.Context, _ client.Object) []reconcile.Request {
	r.looks.forget() // The policy may want it otherwise now.
	return r.list(ctx)
}

// list names the grants that have work.
func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var grants v1alpha1.PullAccessGrantList
	if err := r.Client.List(ctx, &grants, options...); err != nil {
		log.FromContext(ctx).Error(err, "Listing grants")
		return nil
	}
	var requests []reconcile.Request
	for i := range grants.Items {
		if hasWork(&grants.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&grants.Items[i])})
		}
	}
	return requests
}

// hasWork tells whether the grant has workloads to look after.
func hasWork(grant *v1alpha1.PullAccessGrant) bool {
	return slices.ContainsFunc(grant.Status.Workloads, func(w v1alpha1.WorkloadStatus) bool { return !grantstatus.Done(w.State) })
}
