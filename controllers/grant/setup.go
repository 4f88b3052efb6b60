// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/demand"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// workers is how many repositories are written at once; one repository never is twice.
// In a storm most of a write's time is spent on its record.
const workers = 20

// A repository whose edit failed, after the edit's own repetitions, comes back
// after firstRetry, then ever later up to lastRetry: an outage that ends is
// noticed soon.
const firstRetry, lastRetry = time.Second, 2 * time.Minute

// SetupWithManager registers the reconciler and what wakes it: a grant that is
// made, changed or deleted, a pod that needs one or needs it no more, and a policy for
// those that are not written yet, or that it may allow no more.
// Status is no trigger, being this controller's own word, except where others speak
// there: a pod asks anew, a person has answered, or a look has shown another use.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr manager.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.PullAccessGrant{}, byRepository, indexRepository); err != nil {
		return fmt.Errorf("index grants: %w", err)
	}
	grants := source.TypedKind(mgr.GetCache(), &v1alpha1.PullAccessGrant{}, soonTogether(r.Clock),
		predicate.Or[*v1alpha1.PullAccessGrant](predicate.TypedGenerationChangedPredicate[*v1alpha1.PullAccessGrant]{}, spokenOf()))
	policies := source.TypedKind(mgr.GetCache(), &v1alpha1.PullAccessPolicy{},
		handler.TypedEnqueueRequestsFromMapFunc(r.repositories),
		predicate.TypedGenerationChangedPredicate[*v1alpha1.PullAccessPolicy]{})
	// A grant that a pod requests is woken by its record, which waits for others.
	needs := source.TypedFunc[imageref.Repository](func(_ context.Context, queue workqueue.TypedRateLimitingInterface[imageref.Repository]) error {
		r.Demand.Watch(func(need demand.Need) {
			if r.takeUnneeded(need.Grant()) {
				queue.AddAfter(need.Repository, together)
			}
		})
		return nil
	})
	return builder.TypedControllerManagedBy[imageref.Repository](mgr).
		Named("grant").
		WatchesRawSource(grants).
		WatchesRawSource(needs).
		WatchesRawSource(policies).
		WithOptions(controller.TypedOptions[imageref.Repository]{
			MaxConcurrentReconciles: workers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[imageref.Repository](firstRetry, lastRetry),
		}).
		Complete(r)
}

// spokenOf passes the grants of which somebody else has said something.
func spokenOf() predicate.TypedFuncs[*v1alpha1.PullAccessGrant] {
	never := predicate.NewTypedPredicateFuncs(func(*v1alpha1.PullAccessGrant) bool { return false })
	never.UpdateFunc = func(e event.TypedUpdateEvent[*v1alpha1.PullAccessGrant]) bool {
		before, after := &e.ObjectOld.Status, &e.ObjectNew.Status
		return before.EndedTime != nil && after.EndedTime == nil ||
			!equality.Semantic.DeepEqual(before.RequestedTime, after.RequestedTime) ||
			!equality.Semantic.DeepEqual(before.Review, after.Review) || !equality.Semantic.DeepEqual(before.Usage, after.Usage)
	}
	return never
}

func indexRepository(object client.Object) []string {
	g, ok := object.(*v1alpha1.PullAccessGrant)
	if !ok {
		return nil
	}
	return []string{imageref.Of(g.Spec.Repository).ResourceName()}
}

// together is how long a grant that is asked for waits for others on its repository:
// when one account lost its access, a second one mostly did as well, and both are to be
// one write. In a storm, when everything takes longer, it waits for togetherInStorm.
const together, togetherInStorm = 500 * time.Millisecond, 4 * time.Second

// stormWithin is the time within which a third grant that is asked for is a storm.
const stormWithin = time.Second

// arrivals tell how long each grant that is asked for waits.
type arrivals struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	// last are the times of the last two, the older one first.
	last [2]time.Time
}

func (a *arrivals) wait() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, older := a.clock.Now(), a.last[0]
	a.last = [2]time.Time{a.last[1], now}
	if now.Sub(older) < stormWithin {
		return togetherInStorm
	}
	return together
}

// soonTogether wakes the repository of a grant, and of one that is asked for, or asked for
// anew, a moment later.
func soonTogether(clock clock.PassiveClock) handler.TypedEventHandler[*v1alpha1.PullAccessGrant, imageref.Repository] {
	arrivals := &arrivals{clock: clock}
	type queue = workqueue.TypedRateLimitingInterface[imageref.Repository]
	return handler.TypedFuncs[*v1alpha1.PullAccessGrant, imageref.Repository]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*v1alpha1.PullAccessGrant], q queue) {
			q.AddAfter(imageref.Of(e.Object.Spec.Repository), arrivals.wait())
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*v1alpha1.PullAccessGrant], q queue) {
			var wait time.Duration
			if !equality.Semantic.DeepEqual(e.ObjectOld.Status.RequestedTime, e.ObjectNew.Status.RequestedTime) {
				wait = arrivals.wait()
			}
			q.AddAfter(imageref.Of(e.ObjectNew.Spec.Repository), wait)
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*v1alpha1.PullAccessGrant], q queue) {
			q.Add(imageref.Of(e.Object.Spec.Repository))
		},
	}
}

// repositories lists those with grants, each once.
func (r *Reconciler) repositories(ctx context.Context, _ *v1alpha1.PullAccessPolicy) []imageref.Repository {
	var grants v1alpha1.PullAccessGrantList
	if err := r.Client.List(ctx, &grants); err != nil {
		log.FromContext(ctx).Error(err, "Listing grants")
		return nil
	}
	all := map[imageref.Repository]bool{}
	for i := range grants.Items {
		all[imageref.Of(grants.Items[i].Spec.Repository)] = true
	}
	return slices.Collect(maps.Keys(all))
}
