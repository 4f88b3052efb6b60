// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pull-access/pull-access-operator/hack/pulltext"
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
		message := pulltext.Refused(c.Image)
		if reason == imagePullBackOff {
			message = pulltext.BackOff(c.Image)
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
