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
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// told is an Event of the kubelet about the environment's pod.
func (e *env) told(reason, path, message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: e.pod.Namespace},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: e.pod.Namespace, Name: e.pod.Name, UID: e.pod.UID, FieldPath: path},
		Reason:         reason, Type: corev1.EventTypeWarning, Message: message, LastTimestamp: metav1.NewTime(e.Clock.Now()),
	}
}

func (e *env) failed(message string) *corev1.Event {
	return e.told("Failed", "spec.containers{app}", message)
}

const pause = "us-central1-docker.pkg.dev/acme-prod/services/pause:3.10"

func (e *env) sandbox() *corev1.Event {
	return e.told("FailedCreatePodSandBox", "", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox: failed to get sandbox image "`+pause+`": `+controllertest.Denial(pause))
}

// waits has the pod's status say that its container waits, in the given phase.
func (e *env) waits(phase corev1.PodPhase, reason, message string) {
	e.pod.Status = corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(start.Add(-time.Hour))}},
	}}}
}

// listen has the reconciler hear the Events and look at what it wants to.
func (e *env) listen(t *testing.T, events func(*env) []*corev1.Event) (looks int) {
	t.Helper()
	r := e.build()
	live := controllertest.New(t, e.pod).Client
	r.Live = live
	if e.pod.Status.Phase == corev1.PodPending {
		r.Client = withPods{e.Client, live}
	}
	reconciler := reconcile.Func(r.reconcileNamed)
	for _, event := range events(e) {
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

// withPods is a cache that holds pods beside the environment's objects.
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
	failedPull := `Failed to pull image "` + image + `": ` + controllertest.Denial(image)
	tests := map[string]struct {
		edit    func(*env)
		events  func(*env) []*corev1.Event
		looks   int
		granted bool
		says    string
		why     string
	}{
		"a running pod's container is pulled again": {
			edit:   func(e *env) { e.waits(corev1.PodRunning, "ErrImagePull", controllertest.Denial(image)) },
			events: func(e *env) []*corev1.Event { return []*corev1.Event{e.failed(failedPull)} },
			looks:  1, granted: true, says: "AccessRequested",
		},
		"the Event lends its text": {
			edit:   func(e *env) { e.waits(corev1.PodRunning, "ImagePullBackOff", "Back-off pulling image") },
			events: func(e *env) []*corev1.Event { return []*corev1.Event{e.failed(failedPull)} },
			looks:  1, granted: true, says: "AccessRequested",
		},
		"the Event alone": {
			edit: func(e *env) {
				e.pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
					Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(start.Add(-time.Hour))}},
				}}}
			},
			events: func(e *env) []*corev1.Event { return []*corev1.Event{e.failed(failedPull)} },
			looks:  1, why: "anybody may write one who may write Events",
		},
		"a pending pod without a cause": {
			edit:   func(e *env) { e.waits(corev1.PodPending, "ImagePullBackOff", "Back-off pulling image") },
			events: func(e *env) []*corev1.Event { return []*corev1.Event{e.failed(failedPull), e.failed(failedPull)} },
			looks:  1, granted: true, says: "AccessRequested", why: "the second says nothing new",
		},
		"the sandbox": {
			edit:   func(e *env) { e.waits(corev1.PodPending, "ContainerCreating", "") },
			events: func(e *env) []*corev1.Event { return []*corev1.Event{e.sandbox(), e.sandbox()} },
			looks:  1, says: string(diagnosis.SandboxImage),
		},
		"repeated within a minute": {
			edit: func(e *env) { e.waits(corev1.PodRunning, "ErrImagePull", controllertest.Denial(image)) },
			events: func(e *env) []*corev1.Event {
				return []*corev1.Event{e.failed(failedPull), e.failed("Error: ErrImagePull"), e.failed(failedPull)}
			},
			looks: 1, granted: true, says: "AccessRequested",
		},
		"about something else": {
			edit: func(e *env) { e.waits(corev1.PodRunning, "ErrImagePull", controllertest.Denial(image)) },
			events: func(e *env) []*corev1.Event {
				return []*corev1.Event{e.failed("Error: CreateContainerConfigError"), e.told("FailedCreatePodSandBox", "", "no network")}
			},
		},
		"from another namespace": {
			edit: func(e *env) { e.waits(corev1.PodRunning, "ErrImagePull", controllertest.Denial(image)) },
			events: func(e *env) []*corev1.Event {
				event := e.failed(failedPull)
				event.Namespace = "elsewhere"
				return []*corev1.Event{event}
			},
			why: "who may write there may not speak of this pod",
		},
		"longer than the kubelet's": {
			edit: func(e *env) { e.waits(corev1.PodRunning, "ErrImagePull", controllertest.Denial(image)) },
			events: func(e *env) []*corev1.Event {
				return []*corev1.Event{e.failed(failedPull + strings.Repeat(".", maxHeard))}
			},
			why: "it would be kept",
		},
		"of a pod of that name before": {
			edit: func(e *env) { e.waits(corev1.PodRunning, "ImagePullBackOff", "Back-off pulling image") },
			events: func(e *env) []*corev1.Event {
				event := e.failed(failedPull)
				event.InvolvedObject.UID = "uid-before"
				return []*corev1.Event{event}
			},
			looks: 1, says: "BackOff", why: "its text is not this pod's",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			tc.edit(e)
			if looks := e.listen(t, tc.events); looks != tc.looks {
				t.Errorf("looked %d times, want %d: %s", looks, tc.looks, tc.why)
			}
			err := e.Client.Get(t.Context(), client.ObjectKey{Name: grantName}, &v1alpha1.PullAccessGrant{})
			if granted := err == nil; granted != tc.granted {
				t.Errorf("a grant was asked for: %v, want %v: %s", granted, tc.granted, tc.why)
			}
			var said []string
			for _, event := range e.Recorder.Take() {
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
	e := newEnv(t)
	h := newHeard(e.Clock, newLiveReads(e.Clock))
	name := client.ObjectKeyFromObject(e.pod)
	var looks []bool
	for _, after := range []time.Duration{0, readAgain / 2, readAgain / 2} {
		e.Step(after)
		looks = append(looks, h.add(name, e.failed("Error: ErrImagePull"), false))
	}
	if diff := cmp.Diff([]bool{true, false, true}, looks); diff != "" {
		t.Errorf("looks (-want +got):\n%s", diff)
	}
	for _, path := range []string{"a", "b", "c", "d", "e", "f"} {
		h.add(name, e.told("Failed", path, "Error: ErrImagePull"), false)
	}
	if n := len(h.of(name).events); n != eventsHeard {
		t.Errorf("%d Events are kept, want %d", n, eventsHeard)
	}
	e.Step(heardFor + time.Second)
	if n := len(h.of(name).events); n != 0 {
		t.Errorf("%d Events are kept for ever", n)
	}
}

// TestHearsBesideAFlood: whatever Events are written in one namespace, of another
// nothing is lost.
func TestHearsBesideAFlood(t *testing.T) {
	e := newEnv(t)
	h := newHeard(e.Clock, newLiveReads(e.Clock))
	name := client.ObjectKeyFromObject(e.pod)
	h.add(name, e.failed("Error: ErrImagePull"), false)
	for i := range 2 * podsHeard * namespacesHeard {
		h.add(client.ObjectKey{Namespace: "flood", Name: strconv.Itoa(i)}, e.failed("Error: ErrImagePull"), false)
	}
	if n := len(h.of(name).events); n != 1 {
		t.Errorf("%d Events are left of the pod, want 1", n)
	}
	if n := len(h.podsOf("flood").pods); n != podsHeard {
		t.Errorf("%d pods of the namespace are kept, want %d", n, podsHeard)
	}
}
