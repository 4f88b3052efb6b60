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
)

// Failure is one container that cannot pull its image.
type Failure struct {
	Container string
	Role      Role
	// Image is the reference in the Pod's spec, never one from its status or from a text.
	Image string
	// Reason and Message are the waiting state's, as the kubelet wrote them.
	Reason  string
	Message string
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

// InPod lists the containers of pod that wait on a pull: init containers,
// containers and ephemeral containers, each in the order of the spec.
func InPod(pod *corev1.Pod) []Failure {
	if pod == nil {
		return nil
	}
	var failures []Failure
	add := func(role Role, name, image string, statuses []corev1.ContainerStatus) {
		waiting := waitingState(statuses, name)
		if waiting == nil || !waitingOnPull[waiting.Reason] {
			return
		}
		failures = append(failures, Failure{
			Container: name,
			Role:      role,
			Image:     failingImage(pod, image, waiting.Message),
			Reason:    waiting.Reason,
			Message:   waiting.Message,
		})
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		add(InitContainer, c.Name, c.Image, pod.Status.InitContainerStatuses)
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		add(Container, c.Name, c.Image, pod.Status.ContainerStatuses)
	}
	for i := range pod.Spec.EphemeralContainers {
		c := &pod.Spec.EphemeralContainers[i]
		add(EphemeralContainer, c.Name, c.Image, pod.Status.EphemeralContainerStatuses)
	}
	return failures
}

func waitingState(statuses []corev1.ContainerStatus, name string) *corev1.ContainerStateWaiting {
	for i := range statuses {
		if statuses[i].Name == name {
			return statuses[i].State.Waiting
		}
	}
	return nil
}

// failingImage is the container's own image, or that of an image volume of the
// pod: the kubelet reports a volume's failed pull as the container's, and only
// the text tells them apart. Either way the reference is the spec's.
func failingImage(pod *corev1.Pod, own, message string) string {
	for i := range pod.Spec.Volumes {
		source := pod.Spec.Volumes[i].Image
		if source == nil || source.Reference == "" || source.Reference == own {
			continue
		}
		if strings.Contains(message, `"`+source.Reference+`"`) && !strings.Contains(message, `"`+own+`"`) {
			return source.Reference
		}
	}
	return own
}
