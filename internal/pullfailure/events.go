// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// FromEvents lists what of pod waits on a pull, by its status and by the Events
// about it: the sandbox, then the containers as InPod has them. The status comes
// first; where it holds no cause, the newest Event with one lends its text. A
// container of which the status says nothing (it ran, and its image is to be
// pulled again) is failing if its newest Event says so.
func FromEvents(pod *corev1.Pod, events []*corev1.Event) []Failure {
	if pod == nil {
		return nil
	}
	told := readEvents(pod, events)
	var failures []Failure
	if sandbox, ok := told[""]; ok {
		failures = append(failures, sandbox)
	}
	status := InPod(pod)
	eachContainer(pod, func(_ Role, _ string, _ int, c *corev1.Container, _ []corev1.ContainerStatus) {
		event, heard := told[c.Name]
		i := slices.IndexFunc(status, func(f Failure) bool { return f.Container == c.Name })
		switch {
		case i >= 0 && heard:
			failures = append(failures, later(event, status[i]))
		case i >= 0:
			failures = append(failures, status[i])
		case heard:
			failures = append(failures, event)
		}
	})
	return failures
}

// readEvents gives the failures that events leave standing, by container; the
// sandbox's has no name.
func readEvents(pod *corev1.Pod, events []*corev1.Event) map[string]Failure {
	inOrder := slices.DeleteFunc(slices.Clone(events), func(e *corev1.Event) bool { return e == nil })
	slices.SortStableFunc(inOrder, func(a, b *corev1.Event) int { return lastSeen(a).Compare(lastSeen(b)) })
	told := map[string]Failure{}
	for _, event := range inOrder {
		if failure, ok := FromEvent(pod, event); ok {
			told[failure.Container] = later(told[failure.Container], failure)
			continue
		}
		if !concerns(event, pod) {
			continue
		}
		switch event.Reason {
		case "Pulled":
			if c, ok := containerAt(pod, event.InvolvedObject.FieldPath, event.Message); ok {
				delete(told, c.name)
			}
			fallthrough
		case "Pulling", "Created", "Started":
			delete(told, "") // The sandbox stands, or no container would be made.
		}
	}
	return told
}

// later gives what is known after another word on the same container: if it
// holds no cause, it takes the text of the one before.
func later(before, after Failure) Failure {
	if before.Image == after.Image && causeless(after) && !causeless(before) {
		after.Message = before.Message
	}
	return after
}

func causeless(f Failure) bool {
	return f.Message == "" || f.Classify().Cause == BackOff
}
