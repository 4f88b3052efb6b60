// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

const (
	// podsHeard bounds of how many pods of a namespace Events are kept, namespacesHeard
	// of how many namespaces, eventsHeard how many of each pod. Who may write Events in
	// a namespace can push out what is kept of that one alone.
	podsHeard, namespacesHeard, eventsHeard = 64, 128, 4
	// maxHeard bounds the texts of an Event, in bytes. The kubelet's are shorter.
	maxHeard = 4 << 10
	// heardFor is for how long: the kubelet says it again at least every 5 minutes.
	heardFor = 10 * time.Minute
	// readAgain is how soon a pod that is not pending is read again because of an Event.
	readAgain = time.Minute
)

// heard keeps what Events say of pods whose status does not say as much. It may be
// lost: the kubelet repeats itself.
type heard struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	// namespaces are caches of pods.
	namespaces *cache.LRUExpireCache
}

// said is what was heard of one pod; it is replaced and never changed.
type said struct {
	events []*corev1.Event
	// asked is when the pod was last looked at because of one of them.
	asked time.Time
}

func newHeard(clock clock.PassiveClock) *heard {
	return &heard{clock: clock, namespaces: cache.NewLRUExpireCacheWithClock(namespacesHeard, clock)}
}

// podsOf gives what is kept of a namespace, nil if nothing is.
func (h *heard) podsOf(namespace string) *cache.LRUExpireCache {
	known, _ := h.namespaces.Get(namespace)
	pods, _ := known.(*cache.LRUExpireCache)
	return pods
}

func (h *heard) of(pod types.NamespacedName) said {
	pods := h.podsOf(pod.Namespace)
	if pods == nil {
		return said{}
	}
	known, _ := pods.Get(pod.Name)
	found, _ := known.(said)
	return found
}

// add keeps the Event, and tells whether the pod is to be looked at for it.
func (h *heard) add(pod types.NamespacedName, event *corev1.Event, pending bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, now := h.of(pod), h.clock.Now()
	after := said{asked: before.asked, events: slices.DeleteFunc(slices.Clone(before.events), func(e *corev1.Event) bool {
		return e.InvolvedObject.FieldPath == event.InvolvedObject.FieldPath && e.Message == event.Message
	})}
	after.events = append(after.events, slim(event))
	after.events = after.events[max(0, len(after.events)-eventsHeard):]
	again := now.Sub(before.asked) >= readAgain
	if again && !pending { // A pending one may run by the time it is read: it has its minute still.
		after.asked = now
	}
	pods := h.podsOf(pod.Namespace)
	if pods == nil {
		pods = cache.NewLRUExpireCacheWithClock(podsHeard, h.clock)
	}
	pods.Add(pod.Name, after, heardFor)
	h.namespaces.Add(pod.Namespace, pods, heardFor)
	return pending || again
}

// slim keeps of an Event what is read.
func slim(event *corev1.Event) *corev1.Event {
	return &corev1.Event{
		InvolvedObject: event.InvolvedObject, Reason: event.Reason, Message: event.Message,
		FirstTimestamp: event.FirstTimestamp, LastTimestamp: event.LastTimestamp, EventTime: event.EventTime, Series: event.Series,
	}
}

// hear takes an Event for a trigger: it tells whether the pod that it names is to be
// looked at. A pending pod is, where its status has not told a cause; any other is
// read live, for a container that once ran is not looked for by the cache.
func (r *Reconciler) hear(ctx context.Context, event *corev1.Event) (types.NamespacedName, bool) {
	name := types.NamespacedName{Namespace: event.InvolvedObject.Namespace, Name: event.InvolvedObject.Name}
	if !pullfailure.OfPull(event) || event.Namespace != name.Namespace || len(event.Message) > maxHeard || len(event.InvolvedObject.FieldPath) > maxHeard {
		return name, false // The API server takes Events about other namespaces, and of any length.
	}
	var pod corev1.Pod
	err := r.Client.Get(ctx, name, &pod)
	switch {
	case err == nil:
		failure, ok := pullfailure.FromEvent(&pod, event)
		return name, ok && !r.memory.knows(&pod, failure) && r.heard.add(name, event, true)
	case apierrors.IsNotFound(err):
		return name, r.heard.add(name, event, false)
	default:
		return name, false
	}
}

// failures lists what of the pod waits on a pull, by its status. Events lend a text to
// a status that has none, and tell of the sandbox, of which no status speaks.
func (r *Reconciler) failures(pod *corev1.Pod) []pullfailure.Failure {
	waiting := pullfailure.InPod(pod)
	events := r.heard.of(client.ObjectKeyFromObject(pod)).events
	if len(events) == 0 {
		return waiting
	}
	return slices.DeleteFunc(pullfailure.FromEvents(pod, events), func(f pullfailure.Failure) bool {
		return f.Role != pullfailure.Sandbox &&
			!slices.ContainsFunc(waiting, func(w pullfailure.Failure) bool { return w.Container == f.Container })
	})
}

// podReader reads pods from the cache of pending ones, and live those that an Event names.
type podReader struct {
	client.Client
	live  client.Reader
	heard *heard
}

// Get implements client.Reader.
func (p podReader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := p.Client.Get(ctx, key, object, options...)
	if !apierrors.IsNotFound(err) || len(p.heard.of(key).events) == 0 {
		return err
	}
	return p.live.Get(ctx, key, object, options...)
}
