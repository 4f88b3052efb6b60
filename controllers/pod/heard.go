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
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

const (
	// podsHeard limits the pods of a namespace whose Events are kept, eventsHeard the Events
	// of each pod, bytesHeard their size, and namespacesHeard the namespaces. A user who may
	// write Events in one namespace can evict the Events of that namespace only.
	podsHeard, eventsHeard, bytesHeard, namespacesHeard = 64, 4, 64 << 10, 128
	// maxHeard limits the message of an Event, maxPath its field path, and maxUID the UID
	// of its pod, in bytes. The kubelet's Events are shorter.
	maxHeard, maxPath, maxUID = 4 << 10, 128, 64
	// heardFor is for how long: the kubelet says it again at least every 5 minutes.
	heardFor = 10 * time.Minute
	// readAgain is how soon a pod that is not pending is read again because of an Event.
	readAgain = time.Minute
)

// heard keeps what Events say of pods whose status does not say as much. It may be
// lost: the kubelet repeats itself.
type heard struct {
	clock clock.PassiveClock
	reads *liveReads
	mu    sync.Mutex
	// namespaces maps the name of a namespace to its *namespaceHeard.
	namespaces *cache.LRUExpireCache
}

// namespaceHeard holds the Events of one namespace.
type namespaceHeard struct {
	pods map[string]said
	// order lists the names of the pods, the pod with the oldest Event first.
	order []string
	bytes int
}

// said is what was heard of one pod; it is replaced and never changed.
type said struct {
	events []*corev1.Event
	// asked is the time of the last live read that an Event triggered. last is the arrival
	// of the last Event.
	asked, last time.Time
	// counted: an Event has counted a live read of the pod that is still to be made.
	counted bool
}

func newHeard(clock clock.PassiveClock, reads *liveReads) *heard {
	return &heard{clock: clock, reads: reads, namespaces: cache.NewLRUExpireCacheWithClock(namespacesHeard, clock)}
}

// podsOf returns the Events of a namespace.
func (h *heard) podsOf(namespace string) *namespaceHeard {
	known, _ := h.namespaces.Get(namespace)
	if pods, ok := known.(*namespaceHeard); ok {
		return pods
	}
	return &namespaceHeard{pods: map[string]said{}}
}

func (h *heard) of(pod types.NamespacedName) said {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.podsOf(pod.Namespace).of(pod.Name, h.clock.Now())
}

// add keeps the Event, and tells whether the pod is to be looked at for it.
func (h *heard) add(pod types.NamespacedName, event *corev1.Event, pending bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now, pods := h.clock.Now(), h.podsOf(pod.Namespace)
	before := pods.of(pod.Name, now)
	after := said{asked: before.asked, last: now, counted: before.counted, events: slices.DeleteFunc(slices.Clone(before.events), func(e *corev1.Event) bool {
		return e.InvolvedObject.FieldPath == event.InvolvedObject.FieldPath && e.Message == event.Message
	})}
	after.events = append(after.events, slim(event))
	after.events = after.events[max(0, len(after.events)-eventsHeard):]
	look := pending
	if !pending { // An Event of a pending pod does not use up the interval: the pod may be running when it is read.
		look = now.Sub(before.asked) >= readAgain && h.reads.allow(pod.Namespace)
	}
	if look && !pending {
		after.asked, after.counted = now, true
	}
	pods.put(pod.Name, after)
	h.namespaces.Add(pod.Namespace, pods, heardFor)
	return look
}

// takeRead tells whether an Event has counted a live read of the pod, once.
func (h *heard) takeRead(pod types.NamespacedName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	pods := h.podsOf(pod.Namespace)
	known := pods.of(pod.Name, h.clock.Now())
	if !known.counted {
		return false
	}
	known.counted = false
	pods.pods[pod.Name] = known
	return true
}

func (n *namespaceHeard) of(pod string, now time.Time) said {
	if found := n.pods[pod]; now.Sub(found.last) < heardFor {
		return found
	}
	return said{}
}

// put replaces the Events of a pod, and drops the pods with the oldest Events until the
// rest fits.
func (n *namespaceHeard) put(pod string, after said) {
	n.drop(pod)
	n.pods[pod], n.order, n.bytes = after, append(n.order, pod), n.bytes+after.size()
	for len(n.order) > podsHeard || n.bytes > bytesHeard {
		n.drop(n.order[0])
	}
}

func (n *namespaceHeard) drop(pod string) {
	n.bytes -= n.pods[pod].size()
	delete(n.pods, pod)
	n.order = slices.DeleteFunc(n.order, func(other string) bool { return other == pod })
}

// eventCost estimates the memory of an Event beside its texts, in bytes.
const eventCost = 800

// size estimates the memory of the events, in bytes.
func (s said) size() int {
	size := 0
	for _, e := range s.events {
		size += eventCost + len(e.Message) + len(e.InvolvedObject.FieldPath) + len(e.InvolvedObject.Name)
	}
	return size
}

// slim keeps of an Event what is read.
func slim(event *corev1.Event) *corev1.Event {
	kept := &corev1.Event{
		InvolvedObject: corev1.ObjectReference{
			Kind: event.InvolvedObject.Kind, Namespace: event.InvolvedObject.Namespace, Name: event.InvolvedObject.Name,
			UID: event.InvolvedObject.UID, FieldPath: event.InvolvedObject.FieldPath,
		},
		Reason: event.Reason, Message: event.Message,
		FirstTimestamp: event.FirstTimestamp, LastTimestamp: event.LastTimestamp, EventTime: event.EventTime,
	}
	if event.Series != nil {
		kept.Series = &corev1.EventSeries{LastObservedTime: event.Series.LastObservedTime}
	}
	return kept
}

// credible reports whether the kubelet could have written the Event about a pull of a pod
// in the Event's namespace. The API server also accepts Events about other namespaces,
// about invalid pod names, and of any length.
func credible(event *corev1.Event) bool {
	of := &event.InvolvedObject
	return of.Namespace == event.Namespace && (of.Kind == "" || of.Kind == "Pod") && len(of.UID) <= maxUID && len(of.FieldPath) <= maxPath &&
		len(event.Message) <= maxHeard && len(of.Name) <= validation.DNS1123SubdomainMaxLength &&
		len(validation.IsDNS1123Subdomain(of.Name)) == 0 && pullfailure.OfPull(event)
}

// hear takes an Event for a trigger: it tells whether the pod that it names is to be
// looked at. A pending pod is, where its status has not told a cause; any other is
// read live, for a container that once ran is not looked for by the cache.
func (r *Reconciler) hear(ctx context.Context, event *corev1.Event) (types.NamespacedName, bool) {
	name := types.NamespacedName{Namespace: event.InvolvedObject.Namespace, Name: event.InvolvedObject.Name}
	if !credible(event) {
		return name, false
	}
	var pod corev1.Pod
	err := r.Client.Get(ctx, name, &pod)
	switch {
	case err == nil && len(pod.Spec.Containers) == 0:
		// A stub, whose live read reconcileLive counts, or a pod that the cache does not see on its node yet.
		return name, r.heard.add(name, event, true)
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
