// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// newEvents wakes us by the Events that the kubelet writes from now on. None is held,
// and none of those that are there already is read: what still fails is told again.
func (r *Reconciler) newEvents() source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		for _, reason := range pullfailure.WatchReasons() {
			wake := ear{func(event *corev1.Event) {
				if pod, look := r.hear(ctx, event); look {
					queue.Add(reconcile.Request{NamespacedName: pod})
				}
			}}
			reflector := cache.NewReflectorWithOptions(fromNowOn{r.eventsOf(reason)}, &corev1.Event{}, wake, cache.ReflectorOptions{Name: "events of reason " + reason})
			go reflector.RunWithContext(ctx)
		}
		return nil
	})
}

// eventsOf watches one reason: a field selector has no "or".
func (r *Reconciler) eventsOf(reason string) *cache.ListWatch {
	selector := fields.SelectorFromSet(fields.Set{"involvedObject.kind": "Pod", "type": corev1.EventTypeWarning, "reason": reason})
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
			// Of the list only its version is of use: the watch begins there.
			var page corev1.EventList
			err := r.Events.List(ctx, &page, client.Limit(1))
			return &corev1.EventList{ListMeta: metav1.ListMeta{ResourceVersion: page.ResourceVersion}}, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return r.Events.Watch(ctx, &corev1.EventList{}, &client.ListOptions{FieldSelector: selector, Raw: &options})
		},
	}
}

// fromNowOn has the reflector list and then watch: a streamed list would begin with all
// Events that there are.
type fromNowOn struct{ *cache.ListWatch }

// IsWatchListSemanticsUnSupported implements an interface of client-go's reflector.
func (fromNowOn) IsWatchListSemanticsUnSupported() bool { return true }

// ear is a store that keeps nothing.
type ear struct{ hear func(*corev1.Event) }

// Add implements cache.ReflectorStore.
func (e ear) Add(object any) error {
	if event, ok := object.(*corev1.Event); ok {
		e.hear(event)
	}
	return nil
}

// Update implements cache.ReflectorStore: of an Event that is repeated only the count
// and the time change.
func (e ear) Update(object any) error { return e.Add(object) }

// Delete implements cache.ReflectorStore.
func (ear) Delete(any) error { return nil }

// Replace implements cache.ReflectorStore.
func (ear) Replace([]any, string) error { return nil }

// Resync implements cache.ReflectorStore.
func (ear) Resync() error { return nil }
