// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The reasons of the kubelet's Events that tell of a pull. They are few, and Failed
// is shared with much else.
// https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/events/event.go
const (
	eventFailed    = "Failed"
	eventBackOff   = "BackOff"
	eventInspect   = "InspectFailed"
	eventNeverPull = "ErrImageNeverPull"
	eventSandbox   = "FailedCreatePodSandBox"
)

// EventReasons lists the reasons of Events that tell why a pull failed. Back-offs,
// of which there are many, repeat what these say.
func EventReasons() []string {
	return []string{eventFailed, eventInspect, eventNeverPull, eventSandbox}
}

// WatchReasons lists those of them that have to be watched to hear of every failure:
// where the kubelet says InspectFailed or ErrImageNeverPull, it says Failed as well.
func WatchReasons() []string { return []string{eventFailed, eventSandbox} }

// OfPull tells whether the Event tells of a failed pull, as far as that shows without
// the pod.
func OfPull(event *corev1.Event) bool {
	message := strings.TrimPrefix(event.Message, combined)
	if event.Reason == eventSandbox {
		return Classify(Text{Message: message, Reason: event.Reason}).Cause != NotPullFailure
	}
	_, ok := reasonOfEvent(event.Reason, message)
	return ok
}

// FromEvent reads a failure from an Event that the kubelet wrote of pod. It gives
// false for an Event that tells of something else, of another pod or of an image
// that the pod no longer has, and for one that is older than the container's last
// start. Events can be forged: the image is the spec's, and what the Event says is
// as little to be trusted as any text.
func FromEvent(pod *corev1.Pod, event *corev1.Event) (Failure, bool) {
	if pod == nil || event == nil || !concerns(event, pod) || finished(pod) {
		return Failure{}, false
	}
	message := strings.TrimPrefix(event.Message, combined)
	if event.Reason == eventSandbox {
		return ofSandbox(pod, event, message)
	}
	reason, ok := reasonOfEvent(event.Reason, message)
	if !ok {
		return Failure{}, false
	}
	c, ok := containerAt(pod, event.InvolvedObject.FieldPath, message)
	if !ok || !lastSeen(event).After(lastStart(c.status)) {
		return Failure{}, false
	}
	return bounded(Failure{Container: c.name, Role: c.role, Image: c.image, Reason: reason, Message: message}), true
}

// combined is what client-go puts before the message of many Events made one.
const combined = "(combined from similar events): "

// concerns tells whether the Event is about this very pod, and not about an
// earlier one of the same name.
func concerns(event *corev1.Event, pod *corev1.Pod) bool {
	of := &event.InvolvedObject
	return (of.Kind == "" || of.Kind == "Pod") && of.Name == pod.Name && of.Namespace == pod.Namespace &&
		(of.UID == "" || pod.UID == "" || of.UID == pod.UID)
}

// finished tells whether the kubelet will not try again to run the pod.
func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// reasonOfEvent gives the waiting reason that goes with an Event about a pull.
// The kubelet's own words tell apart what shares a reason.
func reasonOfEvent(reason, message string) (waiting string, ok bool) {
	switch reason {
	case eventFailed:
		if strings.HasPrefix(message, "Failed to pull image ") {
			return "ErrImagePull", true
		}
		waiting, _ = strings.CutPrefix(message, "Error: ")
		return waiting, waitingOnPull[waiting]
	case eventBackOff:
		return "ImagePullBackOff", strings.HasPrefix(message, "Back-off pulling image ")
	case eventInspect:
		if strings.HasPrefix(message, "Failed to apply default image tag ") {
			return "InvalidImageName", true
		}
		return "ImageInspectError", strings.HasPrefix(message, "Failed to inspect image ")
	case eventNeverPull:
		return reason, true
	}
	return "", false
}

// container is one container of a pod, with the image that an Event is about.
type container struct {
	name   string
	role   Role
	image  string
	status *corev1.ContainerStatus
}

// containerAt finds the container that an Event's field path names. The pull of
// an image volume is told of the whole pod: it is a failure of the first
// container that mounts the volume.
func containerAt(pod *corev1.Pod, path, message string) (found container, ok bool) {
	var volumes []*corev1.Volume
	if path == "" {
		volumes = quotedVolumes(pod, message)
	}
	eachContainer(pod, func(role Role, field string, i int, c *corev1.Container, statuses []corev1.ContainerStatus) {
		if ok {
			return
		}
		image := c.Image
		switch path {
		case field + "{" + c.Name + "}", field + "[" + strconv.Itoa(i) + "]":
		case "":
			if image = volumeImage(volumes, c); image == "" {
				return
			}
		default:
			return
		}
		found = container{name: c.Name, role: role, image: image, status: statusOf(statuses, c.Name)}
		ok = !speaksOfAnother(message, image)
	})
	return found, ok
}

// volumeImage gives the image of the first of the volumes that c mounts.
func volumeImage(volumes []*corev1.Volume, c *corev1.Container) string {
	for _, volume := range volumes {
		for k := range c.VolumeMounts {
			if c.VolumeMounts[k].Name == volume.Name {
				return volume.Image.Reference
			}
		}
	}
	return ""
}

// speaksOfAnother tells whether the kubelet names another image than this one:
// a container's image may be changed while the pod lives.
func speaksOfAnother(message, image string) bool {
	_, rest, quotes := strings.Cut(message, ` image `)
	if !quotes || !strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, `""`) {
		return false
	}
	return !strings.HasPrefix(rest, strconv.Quote(image)) && !strings.HasPrefix(rest, strconv.Quote(image+":latest"))
}

// lastSeen is when the Event was last seen to happen.
func lastSeen(event *corev1.Event) time.Time {
	seen := event.LastTimestamp.Time
	if event.Series != nil && event.Series.LastObservedTime.After(seen) {
		seen = event.Series.LastObservedTime.Time
	}
	for _, at := range []time.Time{event.EventTime.Time, event.FirstTimestamp.Time, event.CreationTimestamp.Time} {
		if seen.IsZero() {
			seen = at
		}
	}
	return seen
}

// lastStart is when the container last began to run: it had its image then.
func lastStart(status *corev1.ContainerStatus) time.Time {
	var last time.Time
	if status == nil {
		return last
	}
	for _, state := range []*corev1.ContainerState{&status.State, &status.LastTerminationState} {
		if state.Running != nil && state.Running.StartedAt.After(last) {
			last = state.Running.StartedAt.Time
		}
		if state.Terminated != nil && state.Terminated.StartedAt.After(last) {
			last = state.Terminated.StartedAt.Time
		}
	}
	return last
}
