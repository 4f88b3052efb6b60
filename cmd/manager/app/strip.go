// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stripPod keeps of a pod what the controllers read, and drops the rest before
// it is held.
func stripPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	slim := &corev1.Pod{
		TypeMeta: pod.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			Labels: pod.Labels, OwnerReferences: pod.OwnerReferences,
			CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp,
		},
		Spec: corev1.PodSpec{
			NodeName: pod.Spec.NodeName, ServiceAccountName: pod.Spec.ServiceAccountName, ImagePullSecrets: pod.Spec.ImagePullSecrets,
			InitContainers: imagesOf(pod.Spec.InitContainers), Containers: imagesOf(pod.Spec.Containers),
		},
		Status: corev1.PodStatus{
			Phase:                      pod.Status.Phase,
			InitContainerStatuses:      waitsOf(pod.Status.InitContainerStatuses),
			ContainerStatuses:          waitsOf(pod.Status.ContainerStatuses),
			EphemeralContainerStatuses: waitsOf(pod.Status.EphemeralContainerStatuses),
		},
	}
	for _, c := range pod.Spec.EphemeralContainers {
		slim.Spec.EphemeralContainers = append(slim.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: c.Name, Image: c.Image},
		})
	}
	for _, condition := range pod.Status.Conditions {
		// By it an old Event about the sandbox is told from a new one.
		if condition.Type == corev1.PodReadyToStartContainers {
			slim.Status.Conditions = append(slim.Status.Conditions, corev1.PodCondition{
				Type: condition.Type, Status: condition.Status, LastTransitionTime: condition.LastTransitionTime,
			})
		}
	}
	for _, v := range pod.Spec.Volumes {
		if v.Image != nil {
			slim.Spec.Volumes = append(slim.Spec.Volumes, corev1.Volume{Name: v.Name, VolumeSource: corev1.VolumeSource{Image: v.Image}})
		}
	}
	return slim, nil
}

func imagesOf(containers []corev1.Container) []corev1.Container {
	var slim []corev1.Container
	for i := range containers {
		slim = append(slim, corev1.Container{Name: containers[i].Name, Image: containers[i].Image})
	}
	return slim
}

func waitsOf(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	var slim []corev1.ContainerStatus
	for i := range statuses {
		if waiting := statuses[i].State.Waiting; waiting != nil {
			slim = append(slim, corev1.ContainerStatus{Name: statuses[i].Name, State: corev1.ContainerState{Waiting: waiting}})
		}
	}
	return slim
}
