// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Role is the kind of container that cannot pull.
type Role string

// The kinds of containers that a Pod has. A sidecar is an InitContainer.
const (
	Container          Role = "Container"
	InitContainer      Role = "InitContainer"
	EphemeralContainer Role = "EphemeralContainer"
	// Sandbox is what the Pod's containers run in; it has an image of its own, the
	// node's choice ("pause"), and shows in Events only.
	Sandbox Role = "Sandbox"
)

// Failure is one container, or the sandbox, that cannot pull its image.
type Failure struct {
	// Container is empty for the sandbox.
	Container string
	Role      Role
	// Image is the reference in the Pod's spec, never one from its status or from a
	// text; empty for the sandbox, so that nothing is ever opened for it.
	Image string
	// SandboxImage is the sandbox's image as the text has it, for display only.
	SandboxImage string
	// Reason is the waiting state's, or the one that goes with the Event.
	Reason string
	// Message is as the kubelet wrote it.
	Message string
}

// Classify tells what the failure's text supports.
func (f Failure) Classify() Verdict {
	return Classify(Text{Message: f.Message, Image: f.Image, Reason: f.Reason})
}

// waitingOnPull are the waiting reasons of a container that cannot get its image.
// The kubelet passes on the last two from the runtime.
// https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/images/types.go
var waitingOnPull = map[string]bool{
	"ErrImagePull":              true,
	"ImagePullBackOff":          true,
	"ImageInspectError":         true,
	"InvalidImageName":          true,
	"ErrImageNeverPull":         true,
	"RegistryUnavailable":       true,
	"SignatureValidationFailed": true,
}

// InPod lists the containers of pod that wait on a pull: init containers, containers and
// ephemeral containers, each in the order of the spec, at most 64. If an image reference is
// too long, Image is empty and Reason is InvalidImageName.
func InPod(pod *corev1.Pod) []Failure {
	if pod == nil {
		return nil
	}
	var failures []Failure
	eachContainer(pod, func(role Role, _ string, _ int, c *corev1.Container, statuses []corev1.ContainerStatus) {
		if len(failures) == maxFailures {
			return
		}
		status := statusOf(statuses, c.Name)
		if status == nil || status.State.Waiting == nil || !waitingOnPull[status.State.Waiting.Reason] {
			return
		}
		waiting := status.State.Waiting
		failures = append(failures, bounded(Failure{
			Container: c.Name,
			Role:      role,
			Image:     failingImage(pod, c.Image, waiting.Message),
			Reason:    waiting.Reason,
			Message:   waiting.Message,
		}))
	})
	return failures
}

// eachContainer visits the containers of pod: init containers, containers and
// ephemeral containers, each in the order of the spec. field is the one of the
// spec that holds the container, at index i.
func eachContainer(pod *corev1.Pod, visit func(role Role, field string, i int, c *corev1.Container, statuses []corev1.ContainerStatus)) {
	for i := range pod.Spec.InitContainers {
		visit(InitContainer, "spec.initContainers", i, &pod.Spec.InitContainers[i], pod.Status.InitContainerStatuses)
	}
	for i := range pod.Spec.Containers {
		visit(Container, "spec.containers", i, &pod.Spec.Containers[i], pod.Status.ContainerStatuses)
	}
	for i := range pod.Spec.EphemeralContainers {
		c := corev1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		visit(EphemeralContainer, "spec.ephemeralContainers", i, &c, pod.Status.EphemeralContainerStatuses)
	}
}

func statusOf(statuses []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return nil
}

// failingImage is the container's own image, or that of an image volume of the
// pod: the kubelet reports a volume's failed pull as the container's, and only
// the text tells them apart. Either way the reference is the spec's. It is "" where
// the text may be about a volume whose reference is too long.
func failingImage(pod *corev1.Pod, own, message string) string {
	if strings.Contains(Truncate(message), `"`+own+`"`) {
		return own
	}
	for _, volume := range quotedVolumes(pod, message) {
		return volume.Image.Reference
	}
	if hasInvalidVolume(pod) {
		return ""
	}
	return own
}

// IsPullReason tells whether a container that waits for this reason waits on a pull.
func IsPullReason(reason string) bool { return waitingOnPull[reason] }
