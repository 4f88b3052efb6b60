// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// told is an Event of the kubelet about the world's pod.
func (w *world) told(reason, path, message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: w.pod.Namespace},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: w.pod.Namespace, Name: w.pod.Name, UID: w.pod.UID, FieldPath: path},
		Reason:         reason, Type: corev1.EventTypeWarning, Message: message, LastTimestamp: metav1.NewTime(w.clock.Now()),
	}
}

func (w *world) failed(message string) *corev1.Event {
	return w.told("Failed", "spec.containers{app}", message)
}

const pause = "us-central1-docker.pkg.dev/acme-prod/services/pause:3.10"

func (w *world) sandbox() *corev1.Event {
	return w.told("FailedCreatePodSandBox", "", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox: failed to get sandbox image "`+pause+`": `+denial(pause))
}

// waits has the pod's status say that its container waits, in the given phase.
func (w *world) waits(phase corev1.PodPhase, reason, message string) {
	w.pod.Status = corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(start.Add(-time.Hour))}},
	}}}
}

// listen has the reconciler hear the Events and look at what it wants to.
func (w *world) listen(t *testing.T, events func(*world) []*corev1.Event) (looks int) {
	t.Helper()
	r := w.build(t)
	live := fake.NewClientBuilder().WithScheme(w.client.Scheme()).WithObjects(w.pod).Build()
	r.Live = live
	if w.pod.Status.Phase == corev1.PodPending {
		r.Client = withPods{w.client, live}
	}
	reconciler := reconcile.AsReconciler(podReader{r.Client, r.Live, r.heard}, r)
	for _, event := range events(w) {
		name, look := r.hear(t.Context(), event)
		if !look {
			continue
		}
		looks++
		if _, err := reconciler.Reconcile(t.Context(), reconcile.Request{NamespacedName: name}); err != nil {
			t.Fatal(err)
		}
	}
	return looks
}

// withPods is a cache that holds pods beside the world's objects.
type withPods struct {
	client.Client
	pods client.Reader
}

func (c withPods) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if _, ok := object.(*corev1.Pod); ok {
		return c.pods.Get(ctx, key, object, options...)
	}
	return c.Client.Get(ctx, key, object, options...)
}

// TestHears: an Event is a trigger. What it says counts only where the status agrees, or
// of the sandbox, for which nothing is ever granted.
func TestHears(t *testing.T) {
	failedPull := `Failed to pull image "` + image + `": ` + denial(image)
	tests := map[string]struct {
		edit    func(*world)
		events  func(*world) []*corev1.Event
		looks   int
		granted bool
		says    string
		why     string
	}{
		"a running pod's container is pulled again": {
			edit:   func(w *world) { w.waits(corev1.PodRunning, "ErrImagePull", denial(image)) },
			events: func(w *world) []*corev1.Event { return []*corev1.Event{w.failed(failedPull)} },
			looks:  1, granted: true, says: "AccessRequested",
		},
		"the Event lends its text": {
			edit:   func(w *world) { w.waits(corev1.PodRunning, "ImagePullBackOff", "Back-off pulling image") },
			events: func(w *world) []*corev1.Event { return []*corev1.Event{w.failed(failedPull)} },
			looks:  1, granted: true, says: "AccessRequested",
		},
		"the Event alone": {
			edit: func(w *world) {
				w.pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
					Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(start.Add(-time.Hour))}},
				}}}
			},
			events: func(w *world) []*corev1.Event { return []*corev1.Event{w.failed(failedPull)} },
			looks:  1, why: "anybody may write one who may write Events",
		},
		"a pending pod without a cause": {
			edit:   func(w *world) { w.waits(corev1.PodPending, "ImagePullBackOff", "Back-off pulling image") },
			events: func(w *world) []*corev1.Event { return []*corev1.Event{w.failed(failedPull), w.failed(failedPull)} },
			looks:  1, granted: true, says: "AccessRequested", why: "the second says nothing new",
		},
		"the sandbox": {
			edit:   func(w *world) { w.waits(corev1.PodPending, "ContainerCreating", "") },
			events: func(w *world) []*corev1.Event { return []*corev1.Event{w.sandbox(), w.sandbox()} },
			looks:  1, says: string(diagnosis.SandboxImage),
		},
		"repeated within a minute": {
			edit: func(w *world) { w.waits(corev1.PodRunning, "ErrImagePull", denial(image)) },
			events: func(w *world) []*corev1.Event {
				return []*corev1.Event{w.failed(failedPull), w.failed("Error: ErrImagePull"), w.failed(failedPull)}
			},
			looks: 1, granted: true, says: "AccessRequested",
		},
		"about something else": {
			edit: func(w *world) { w.waits(corev1.PodRunning, "ErrImagePull", denial(image)) },
			events: func(w *world) []*corev1.Event {
				return []*corev1.Event{w.failed("Error: CreateContainerConfigError"), w.told("FailedCreatePodSandBox", "", "no network")}
			},
		},
		"from another namespace": {
			edit: func(w *world) { w.waits(corev1.PodRunning, "ErrImagePull", denial(image)) },
			events: func(w *world) []*corev1.Event {
				event := w.failed(failedPull)
				event.Namespace = "elsewhere"
				return []*corev1.Event{event}
			},
			why: "who may write there may not speak of this pod",
		},
		"longer than the kubelet's": {
			edit: func(w *world) { w.waits(corev1.PodRunning, "ErrImagePull", denial(image)) },
			events: func(w *world) []*corev1.Event {
				return []*corev1.Event{w.failed(failedPull + strings.Repeat(".", maxHeard))}
			},
			why: "it would be kept",
		},
		"of a pod of that name before": {
			edit: func(w *world) { w.waits(corev1.PodRunning, "ImagePullBackOff", "Back-off pulling image") },
			events: func(w *world) []*corev1.Event {
				event := w.failed(failedPull)
				event.InvolvedObject.UID = "uid-before"
				return []*corev1.Event{event}
			},
			looks: 1, says: "BackOff", why: "its text is not this pod's",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			tc.edit(w)
			if looks := w.listen(t, tc.events); looks != tc.looks {
				t.Errorf("looked %d times, want %d: %s", looks, tc.looks, tc.why)
			}
			err := w.client.Get(t.Context(), client.ObjectKey{Name: grantName}, &v1alpha1.PullAccessGrant{})
			if granted := err == nil; granted != tc.granted {
				t.Errorf("a grant was asked for: %v, want %v: %s", granted, tc.granted, tc.why)
			}
			var said []string
			for _, event := range w.said() {
				said = append(said, strings.Fields(event)[1])
			}
			if want := strings.Fields(tc.says); !slices.Equal(said, want) {
				t.Errorf("said %v, want %v: %s", said, want, tc.why)
			}
		})
	}
}

// TestHearsAgain: a pod that still fails is read again after a while, and what is kept
// of one pod has a bound, whatever Events are written about it.
func TestHearsAgain(t *testing.T) {
	w := newWorld()
	h := newHeard(w.clock)
	name := client.ObjectKeyFromObject(w.pod)
	var looks []bool
	for _, after := range []time.Duration{0, readAgain / 2, readAgain / 2} {
		w.clock.SetTime(w.clock.Now().Add(after))
		looks = append(looks, h.add(name, w.failed("Error: ErrImagePull"), false))
	}
	if diff := cmp.Diff([]bool{true, false, true}, looks); diff != "" {
		t.Errorf("looks (-want +got):\n%s", diff)
	}
	for _, path := range []string{"a", "b", "c", "d", "e", "f"} {
		h.add(name, w.told("Failed", path, "Error: ErrImagePull"), false)
	}
	if n := len(h.of(name).events); n != eventsHeard {
		t.Errorf("%d Events are kept, want %d", n, eventsHeard)
	}
	w.clock.SetTime(w.clock.Now().Add(heardFor + time.Second))
	if n := len(h.of(name).events); n != 0 {
		t.Errorf("%d Events are kept for ever", n)
	}
}

// TestHearsBesideAFlood: whatever Events are written in one namespace, of another
// nothing is lost.
func TestHearsBesideAFlood(t *testing.T) {
	w := newWorld()
	h := newHeard(w.clock)
	name := client.ObjectKeyFromObject(w.pod)
	h.add(name, w.failed("Error: ErrImagePull"), false)
	for i := range 2 * podsHeard * namespacesHeard {
		h.add(client.ObjectKey{Namespace: "flood", Name: strconv.Itoa(i)}, w.failed("Error: ErrImagePull"), false)
	}
	if n := len(h.of(name).events); n != 1 {
		t.Errorf("%d Events are left of the pod, want 1", n)
	}
	if n := len(h.podsOf("flood").Keys()); n != podsHeard {
		t.Errorf("%d pods of the namespace are kept, want %d", n, podsHeard)
	}
}
