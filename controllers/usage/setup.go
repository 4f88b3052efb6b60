// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

// A step that failed comes back after firstRetry, then ever later up to lastRetry.
const firstRetry, lastRetry = time.Second, 2 * time.Minute

// SetupWithManager registers the reconciler and what wakes it: a grant that has
// come into force, or whose end for want of use was announced. The rest is time.
func (r *Reconciler) SetupWithManager(mgr manager.Manager) error {
	if r.Interval <= 0 {
		r.Interval = DefaultInterval
	}
	grants := source.TypedKind(mgr.GetCache(), &v1alpha1.PullAccessGrant{},
		handler.TypedEnqueueRequestsFromMapFunc(func(context.Context, *v1alpha1.PullAccessGrant) []Cluster { return []Cluster{{}} }), wakes())
	return builder.TypedControllerManagedBy[Cluster](mgr).
		Named("usage").
		WatchesRawSource(grants).
		WithOptions(controller.TypedOptions[Cluster]{
			MaxConcurrentReconciles: 1, // The look has one memory.
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[Cluster](firstRetry, lastRetry),
		}).
		Complete(r)
}

// wakes passes the grants that the next look may have to begin sooner for.
func wakes() predicate.TypedFuncs[*v1alpha1.PullAccessGrant] {
	passing := predicate.NewTypedPredicateFuncs(func(*v1alpha1.PullAccessGrant) bool { return false })
	passing.CreateFunc = func(e event.TypedCreateEvent[*v1alpha1.PullAccessGrant]) bool { return grantstatus.Granted(e.Object) }
	passing.UpdateFunc = func(e event.TypedUpdateEvent[*v1alpha1.PullAccessGrant]) bool {
		return grantstatus.Granted(e.ObjectNew) && (!grantstatus.Granted(e.ObjectOld) || !endOf(e.ObjectNew).Equal(endOf(e.ObjectOld)))
	}
	return passing
}
