// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// MaxSecrets limits the pull secrets of a pod that are read: a pod may name any number, and each costs a read.
const MaxSecrets = 16

const (
	// maxCached limits a cached pod, in bytes. The heap grows by half of the live data before
	// a garbage collection.
	maxCached = 14 << 10
	// maxCachedSecrets limits the pull secrets of a cached pod. It is greater than MaxSecrets,
	// so that a pod with more of them still shows an unread one.
	maxCachedSecrets = MaxSecrets + 1
	// labelCost estimates the memory of a label beside its text.
	labelCost = 64
)

// Cached returns a copy of the fields of a pod that the controllers read, in at most 14 KB.
// It cuts long messages and omits image references that are too long to be valid. If the
// pod does not fit, it returns a stub. If the pod has no node, and so cannot fail to pull, it
// returns only the identity. Cached is idempotent.
func Cached(pod *corev1.Pod) *corev1.Pod {
	if unscheduled(pod) || IsStub(pod) || len(pod.Spec.InitContainers)+len(pod.Spec.Containers)+len(pod.Spec.EphemeralContainers) > maxCached/containerCost {
		return stubOf(pod)
	}
	kept := &corev1.Pod{
		TypeMeta: pod.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			Labels: pod.Labels, OwnerReferences: followed(pod),
			CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp,
		},
		Spec: corev1.PodSpec{
			NodeName: pod.Spec.NodeName, ServiceAccountName: pod.Spec.ServiceAccountName, ImagePullSecrets: secretsOf(pod),
			InitContainers: imagesOf(pod.Spec.InitContainers), Containers: imagesOf(pod.Spec.Containers), Volumes: imageVolumesOf(pod),
		},
		Status: corev1.PodStatus{
			Phase: pod.Status.Phase, Conditions: sandboxCondition(pod),
			InitContainerStatuses:      waitsOf(pod.Status.InitContainerStatuses),
			ContainerStatuses:          waitsOf(pod.Status.ContainerStatuses),
			EphemeralContainerStatuses: waitsOf(pod.Status.EphemeralContainerStatuses),
		},
	}
	kept.Spec.EphemeralContainers = make([]corev1.EphemeralContainer, 0, len(pod.Spec.EphemeralContainers))
	for _, c := range pod.Spec.EphemeralContainers {
		kept.Spec.EphemeralContainers = append(kept.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: c.Name, Image: pullfailure.Reference(c.Image)},
		})
	}
	if costOf(kept)+share(kept) > maxCached {
		return stubOf(pod)
	}
	return kept
}

// stubOf returns a stub of a pod: its identity, node and phase. If the pod has a node, a
// controller must read it live.
func stubOf(pod *corev1.Pod) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta: pod.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp,
		},
		Spec:   corev1.PodSpec{NodeName: pod.Spec.NodeName},
		Status: corev1.PodStatus{Phase: pod.Status.Phase},
	}
}

// IsStub reports whether the pod is a stub. Every real pod has a container. A pod without a
// node is none: nothing reads it live, and an update follows when it has a node.
func IsStub(pod *corev1.Pod) bool { return len(pod.Spec.Containers) == 0 && !unscheduled(pod) }

// unscheduled reports whether no node has the pod yet.
func unscheduled(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodPending && pod.Spec.NodeName == ""
}

// followed returns the owner reference that leads to a workload, if any.
func followed(pod *corev1.Pod) []metav1.OwnerReference {
	controller := controllerOf(pod)
	if controller == nil || !followedKind(controller) {
		return nil
	}
	return []metav1.OwnerReference{*controller}
}

// secretsOf keeps the first pull secrets of the pod. Empty names and those that are named
// before would take the place of others, so that the pod would seem to have none.
func secretsOf(pod *corev1.Pod) []corev1.LocalObjectReference {
	var secrets []corev1.LocalObjectReference
	for _, secret := range pod.Spec.ImagePullSecrets {
		name := TruncateSecretName(secret.Name)
		if kept := (corev1.LocalObjectReference{Name: name}); name == "" || slices.Contains(secrets, kept) {
			continue
		}
		secrets = append(secrets, corev1.LocalObjectReference{Name: strings.Clone(name)})
		if len(secrets) == maxCachedSecrets {
			break
		}
	}
	return secrets
}

// TruncateSecretName limits the name of a pull secret, for which the API server accepts any text. A cut name is still
// longer than the name of any Secret.
func TruncateSecretName(name string) string {
	return name[:min(len(name), validation.DNS1123SubdomainMaxLength+1)]
}

func imagesOf(containers []corev1.Container) []corev1.Container {
	kept := make([]corev1.Container, 0, len(containers))
	for i := range containers {
		kept = append(kept, corev1.Container{Name: containers[i].Name, Image: pullfailure.Reference(containers[i].Image)})
	}
	return kept
}

// imageVolumesOf keeps also the volumes whose reference is too long, without it: a message
// may be about them.
func imageVolumesOf(pod *corev1.Pod) []corev1.Volume {
	var kept []corev1.Volume
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Image == nil {
			continue
		}
		image := &corev1.ImageVolumeSource{Reference: pullfailure.Reference(v.Image.Reference)}
		kept = append(kept, corev1.Volume{Name: v.Name, VolumeSource: corev1.VolumeSource{Image: image}})
		if len(kept) > maxCached/volumeCost {
			break // It does not fit.
		}
	}
	return slices.Clone(kept) // Without the room to grow.
}

// waitsOf keeps the statuses of containers that wait on a pull, and when each last ran:
// Events from before are out of date.
func waitsOf(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	var kept []corev1.ContainerStatus
	for i := range statuses {
		waiting := statuses[i].State.Waiting
		if waiting == nil || !pullfailure.IsPullReason(waiting.Reason) {
			continue
		}
		status := corev1.ContainerStatus{Name: statuses[i].Name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason: waiting.Reason, Message: pullfailure.Truncate(waiting.Message),
		}}}
		switch last := &statuses[i].LastTerminationState; {
		case last.Terminated != nil:
			status.LastTerminationState.Running = &corev1.ContainerStateRunning{StartedAt: last.Terminated.StartedAt}
		case last.Running != nil:
			status.LastTerminationState.Running = &corev1.ContainerStateRunning{StartedAt: last.Running.StartedAt}
		}
		kept = append(kept, status)
		if len(kept) > maxCached/statusCost {
			break // It does not fit.
		}
	}
	return slices.Clone(kept) // Without the room to grow.
}

// sandboxCondition returns the condition that distinguishes an old Event about the sandbox
// from a new one.
func sandboxCondition(pod *corev1.Pod) []corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReadyToStartContainers {
			status := corev1.ConditionFalse // Only True matters.
			if c.Status == corev1.ConditionTrue {
				status = corev1.ConditionTrue
			}
			return []corev1.PodCondition{{Type: c.Type, Status: status, LastTransitionTime: c.LastTransitionTime}}
		}
	}
	return nil
}

// The fixed memory of each part, in bytes. An ephemeral container is the largest of the
// three kinds of containers.
var (
	containerCost = sizeOf[corev1.EphemeralContainer]()
	statusCost    = sizeOf[corev1.ContainerStatus]() + sizeOf[corev1.ContainerStateWaiting]() + sizeOf[corev1.ContainerStateRunning]()
	volumeCost    = sizeOf[corev1.Volume]() + sizeOf[corev1.ImageVolumeSource]()
	ownerCost     = sizeOf[metav1.OwnerReference]()
	secretCost    = sizeOf[corev1.LocalObjectReference]()
)

func sizeOf[T any]() int { return int(reflect.TypeFor[T]().Size()) }

// costOf estimates the memory of the variable parts of a cached pod, in bytes, without the
// texts that share counts.
func costOf(pod *corev1.Pod) int {
	cost := len(pod.Name) + len(pod.Namespace) + len(pod.Spec.NodeName) + len(pod.Spec.ServiceAccountName)
	for key, value := range pod.Labels {
		cost += labelCost + len(key) + len(value)
	}
	for _, owner := range pod.OwnerReferences {
		cost += ownerCost + len(owner.APIVersion) + len(owner.Kind) + len(owner.Name) + len(owner.UID)
	}
	for _, secret := range pod.Spec.ImagePullSecrets {
		cost += secretCost + len(secret.Name)
	}
	spec, status := &pod.Spec, &pod.Status
	return cost + containerCost*(len(spec.InitContainers)+len(spec.Containers)+len(spec.EphemeralContainers)) + volumeCost*len(spec.Volumes) +
		statusCost*(len(status.InitContainerStatuses)+len(status.ContainerStatuses)+len(status.EphemeralContainerStatuses))
}

// share has equal texts of a kept pod's containers, volumes and statuses be one, and returns
// their size in bytes. Containers of one image fail with the same long message.
func share(pod *corev1.Pod) int {
	size, known := 0, map[string]string{}
	one := func(texts ...*string) {
		for _, text := range texts {
			first, ok := known[*text]
			if !ok {
				first, known[*text] = *text, *text
				size += len(first)
			}
			*text = first
		}
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			one(&containers[i].Name, &containers[i].Image)
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		one(&pod.Spec.EphemeralContainers[i].Name, &pod.Spec.EphemeralContainers[i].Image)
	}
	for i := range pod.Spec.Volumes {
		one(&pod.Spec.Volumes[i].Name, &pod.Spec.Volumes[i].Image.Reference)
	}
	for _, statuses := range [][]corev1.ContainerStatus{
		pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses,
	} {
		for i := range statuses {
			one(&statuses[i].Name, &statuses[i].State.Waiting.Reason, &statuses[i].State.Waiting.Message)
		}
	}
	return size
}
