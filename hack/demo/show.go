// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// shownText bounds what is shown of kubelet's text.
const shownText = 400

// takePod shows each state of a pod once, and kubelet's text on it once an
// image: two states alternate for as long as a pull fails.
func (w *world) takePod(pod *corev1.Pod) {
	if pod.Namespace != shopNamespace || pod.DeletionTimestamp != nil {
		return
	}
	state, text := stateOf(pod)
	if state == string(corev1.PodPending) || w.again("pod", pod.Name, state) {
		return
	}
	image := pod.Spec.Containers[0].Image
	switch {
	case state == string(corev1.PodRunning):
		w.say.good("pod %s: %s", pod.Name, state)
	case text == "":
		w.say.note("pod %s: %s", pod.Name, state)
	case w.again("text", image, state):
		w.say.bad("pod %s: %s, with the same text", pod.Name, state)
	default:
		if first := w.state["text "+image]; first != "" {
			text = strings.Replace(text, first, "(the same text)", 1)
		} else {
			w.state["text "+image] = text
		}
		w.say.bad("pod %s: %s: %s", pod.Name, state, cut(text, shownText))
	}
}

// lose shows that a pod is gone.
func (w *world) lose(object runtime.Object) {
	if pod, ok := object.(*corev1.Pod); ok && pod.Namespace == shopNamespace {
		w.say.note("pod %s: deleted", pod.Name)
	}
}

// stateOf is what kubectl shows in the column STATUS, and kubelet's text on it.
func stateOf(pod *corev1.Pod) (state, text string) {
	for _, status := range pod.Status.ContainerStatuses {
		if waiting := status.State.Waiting; waiting != nil {
			return waiting.Reason, waiting.Message
		}
	}
	return string(pod.Status.Phase), ""
}

func (w *world) takeDeployment(d *appsv1.Deployment) {
	if d.Namespace != shopNamespace {
		return
	}
	w.deployments[d.Name] = d
	state := fmt.Sprintf("%d of %d pods are ready", d.Status.ReadyReplicas, *d.Spec.Replicas)
	if w.last("deployment", d.Name, state) {
		return
	}
	if rolledOut(d) {
		w.say.good("deployment %s: %s", d.Name, state)
	} else {
		w.say.note("deployment %s: %s", d.Name, state)
	}
}

// rolledOut tells whether every pod is of the newest template and ready, and no other is left.
func rolledOut(d *appsv1.Deployment) bool {
	want := *d.Spec.Replicas
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas == want
}

// takeEvent keeps one event of the operator's. A sentence said about several
// objects is spelled out once.
func (w *world) takeEvent(e *eventsv1.Event) {
	if w.again("event", e.Namespace, e.Name) {
		return
	}
	w.events = append(w.events, e)
	about := e.Regarding.Kind + " " + e.Regarding.Name
	note := e.Note
	if w.again("note", e.Reason, e.Note) {
		note = "the same"
	}
	if e.Type == corev1.EventTypeWarning {
		w.say.warn("event %s on %s: %s", e.Reason, about, note)
	} else {
		w.say.note("event %s on %s: %s", e.Reason, about, note)
	}
}

// showConditions shows those conditions that have come to another status or
// reason, the summary last, and it only where it says something of its own.
func (w *world) showConditions(kind, name string, conditions []metav1.Condition) {
	said := map[string]bool{}
	for _, summary := range []bool{false, true} {
		for _, c := range conditions {
			if (c.Type == v1alpha1.ConditionReady) != summary {
				continue
			}
			if !w.last(kind, name+"/"+c.Type, string(c.Status)+c.Reason) && !said[c.Message] {
				w.showCondition(kind, name, c)
			}
			said[c.Message] = true
		}
	}
}

func (w *world) showCondition(kind, name string, c metav1.Condition) {
	show := w.say.note
	if c.Status == metav1.ConditionTrue {
		show = w.say.good
	}
	show("%s %s: %s=%s (%s) %s", kind, name, c.Type, c.Status, c.Reason, c.Message)
}

// again tells whether this was shown before, and remembers it.
func (w *world) again(kind, name, what string) bool {
	key := kind + " " + name + " " + what
	before := w.shown[key]
	w.shown[key] = true
	return before
}

// last tells whether this is what was shown last of the object, and remembers it.
func (w *world) last(kind, name, what string) bool {
	key := kind + " " + name
	before := w.state[key]
	w.state[key] = what
	return before == what
}
