// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// workers is how many Pods are judged at once. Nearly all that they do is wait for a
// fact that nobody has asked for yet: with few, the first pods of one repository would
// hold up those of another.
const workers = 64

// SetupWithManager registers the reconciler and what wakes it: a Pod that cannot
// pull, an Event that says so of one, and a change of the policies or of a namespace's
// labels for all that are pending.
func (r *Reconciler) SetupWithManager(mgr manager.Manager) error {
	if err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		if mgr.GetCache().WaitForCacheSync(ctx) {
			r.expect(ctx)
		}
		return nil
	})); err != nil {
		return fmt.Errorf("add the first list of pods: %w", err)
	}
	return builder.ControllerManagedBy(mgr).
		Named("pod").
		For(&corev1.Pod{}, builder.WithPredicates(r.mayNeed())).
		Watches(&v1alpha1.PullAccessPolicy{}, handler.EnqueueRequestsFromMapFunc(r.failingPods),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesMetadata(workload.NewNamespaceMetadata(), handler.EnqueueRequestsFromMapFunc(r.failingPodsOf),
			builder.WithPredicates(selectionChanged())).
		WatchesRawSource(r.newEvents()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconcile.Func(r.reconcileNamed))
}

// expect names the failing pods of the first list to the demand.
func (r *Reconciler) expect(ctx context.Context) {
	var pods []types.NamespacedName
	for _, request := range r.failingPodsIn(ctx) {
		pods = append(pods, request.NamespacedName)
	}
	r.Demand.Expect(pods)
}

// mayNeed passes a pod that may fail, and one that has a need: it may have recovered, or is
// gone.
func (r *Reconciler) mayNeed() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(object client.Object) bool {
		pod, ok := object.(*corev1.Pod)
		return ok && (mayFail(pod) || r.Demand.Has(client.ObjectKeyFromObject(pod)))
	})
}

// selectionChanged passes a cached namespace if other policies may select it now. The only
// cached annotation tells that the cache omits the labels.
func selectionChanged() predicate.Predicate {
	return predicate.Or(predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{})
}

// mayFail reports whether the controller must evaluate the cached pod: it cannot pull, or
// it is a stub.
func mayFail(pod *corev1.Pod) bool { return workload.IsStub(pod) || len(pullfailure.InPod(pod)) > 0 }

// failingPods lists every Pod that cannot pull: a policy was made, changed or deleted.
func (r *Reconciler) failingPods(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.failingPodsIn(ctx)
}

// failingPodsOf lists those of one namespace, whose labels have changed.
func (r *Reconciler) failingPodsOf(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.failingPodsIn(ctx, client.InNamespace(namespace.GetName()))
}

func (r *Reconciler) failingPodsIn(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var pods corev1.PodList
	// The list is read only, and a deep copy of it would be as large as the cache.
	if err := r.Client.List(ctx, &pods, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		log.FromContext(ctx).Error(err, "Listing failing pods")
		return nil
	}
	var requests []reconcile.Request
	for i := range pods.Items {
		if mayFail(&pods.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&pods.Items[i])})
		}
	}
	return requests
}
