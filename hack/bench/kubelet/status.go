// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"fmt"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	nodeIP = "127.0.0.1"
	podIP  = "10.128.0.1"

	errImagePull     = "ErrImagePull"
	imagePullBackOff = "ImagePullBackOff"
)

// Running is the status of a pod of which all containers run.
func Running(pod *corev1.Pod, now metav1.Time) corev1.PodStatus {
	status := statusOf(pod, corev1.PodRunning, corev1.ConditionTrue, "", now)
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		id := fmt.Sprintf("%032x%032x", i+1, len(pod.UID)) // As long as a real one.
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: c.Image + "@sha256:" + id, ContainerID: "containerd://" + id, Ready: true, Started: ptr.To(true),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		})
	}
	return status
}

// waiting is the status of a pod of which no container has its image.
func waiting(pod *corev1.Pod, reason string, now metav1.Time) corev1.PodStatus {
	status := statusOf(pod, corev1.PodPending, corev1.ConditionFalse, "ContainersNotReady", now)
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		message := Refused(c.Image)
		if reason == imagePullBackOff {
			message = fmt.Sprintf("Back-off pulling image %q: %s: %s", c.Image, errImagePull, message)
		}
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Started: ptr.To(false),
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		})
	}
	return status
}

func statusOf(pod *corev1.Pod, phase corev1.PodPhase, ready corev1.ConditionStatus, reason string, now metav1.Time) corev1.PodStatus {
	status := corev1.PodStatus{
		Phase: phase, HostIP: nodeIP, HostIPs: []corev1.HostIP{{IP: nodeIP}}, PodIP: podIP, PodIPs: []corev1.PodIP{{IP: podIP}},
		StartTime: &now,
	}
	message := ""
	if reason != "" {
		message = fmt.Sprintf("containers with unready status: [%s]", pod.Spec.Containers[0].Name)
	}
	for _, c := range []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue},
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
		{Type: corev1.PodReady, Status: ready, Reason: reason, Message: message},
		{Type: corev1.ContainersReady, Status: ready, Reason: reason, Message: message},
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
	} {
		c.LastTransitionTime = now
		status.Conditions = append(status.Conditions, c)
	}
	return status
}

// Refused is what containerd 2 says of an image for which the registry refuses the node's account a token, as
// internal/pullfailure/testdata has it.
func Refused(image string) string {
	host, path, _ := strings.Cut(image, "/")
	path, _, _ = strings.Cut(path, ":")
	query := url.Values{"scope": {"repository:" + path + ":pull"}, "service": {host}}.Encode()
	return fmt.Sprintf("failed to pull and unpack image %q: failed to resolve image: failed to authorize: failed to fetch oauth token: "+
		"unexpected status from GET request to https://%s/v2/token?%s: 403 Forbidden", image, host, query)
}
