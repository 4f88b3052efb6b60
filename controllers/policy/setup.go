// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the reconciler. A change of a policy's spec wakes it at once;
// changes of the ledger, of demand and of namespaces wake it at most once in publishAfter.
func (r *Reconciler) SetupWithManager(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).
		Named("policy").
		For(&v1alpha1.PullAccessPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.Func(r.watchMemory)).
		WatchesRawSource(source.TypedKind(mgr.GetCache(), workload.NewNamespaceMetadata(), r.allPolicies(),
			predicate.TypedLabelChangedPredicate[*metav1.PartialObjectMetadata]{})).
		Complete(reconcile.AsReconciler(r.Client, r))
}

// watchMemory adds the policies of which the ledger or demand changes to the queue. All
// policies are reconciled at the start, so that no earlier change is lost.
func (r *Reconciler) watchMemory(_ context.Context, q queue) error {
	r.waker.start(q)
	return nil
}

// waker adds policies to the queue, once there is one.
type waker struct {
	mu    sync.Mutex
	queue queue
}

func (w *waker) start(q queue) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = q
}

// wake has the policy reconciled in publishAfter. The queue keeps one entry for each policy,
// so that it returns a policy at most once in this time.
func (w *waker) wake(policy string) {
	w.mu.Lock()
	q := w.queue
	w.mu.Unlock()
	if q != nil {
		q.AddAfter(requestOf(policy), publishAfter)
	}
}

func requestOf(policy string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: policy}}
}

// allPolicies adds all policies to the queue, because each of them may select the namespace.
func (r *Reconciler) allPolicies() handler.TypedEventHandler[*metav1.PartialObjectMetadata, reconcile.Request] {
	add := func(ctx context.Context, q queue) {
		var policies v1alpha1.PullAccessPolicyList
		if err := r.Client.List(ctx, &policies); err != nil {
			log.FromContext(ctx).Error(err, "Listing policies")
			return
		}
		for i := range policies.Items {
			q.AddAfter(requestOf(policies.Items[i].Name), publishAfter)
		}
	}
	type namespace = *metav1.PartialObjectMetadata
	return handler.TypedFuncs[namespace, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[namespace], q queue) {
			if !e.IsInInitialList { // Each policy is reconciled at the start.
				add(ctx, q)
			}
		},
		UpdateFunc: func(ctx context.Context, _ event.TypedUpdateEvent[namespace], q queue) { add(ctx, q) },
		DeleteFunc: func(ctx context.Context, _ event.TypedDeleteEvent[namespace], q queue) { add(ctx, q) },
	}
}
