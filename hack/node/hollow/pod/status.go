// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"fmt"
	"hash/fnv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// statusOf works out the pod's status from its containers, as kubelet reports it. Times of conditions that did not change
// are those of last.
func statusOf(pod *corev1.Pod, rec *podRecord, now metav1.Time) corev1.PodStatus {
	last := rec.written
	status := corev1.PodStatus{
		ObservedGeneration: pod.Generation,
		StartTime:          last.StartTime,
		HostIP:             nodeIP,
		HostIPs:            []corev1.HostIP{{IP: nodeIP}},
		PodIP:              podIP(pod),
	}
	status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
	if status.StartTime == nil {
		status.StartTime = &now
	}
	for _, s := range specsOf(pod) {
		c := rec.containers[s.name].status
		switch s.kind {
		case initContainer:
			status.InitContainerStatuses = append(status.InitContainerStatuses, c)
		case appContainer:
			status.ContainerStatuses = append(status.ContainerStatuses, c)
		case ephemeralContainer:
			status.EphemeralContainerStatuses = append(status.EphemeralContainerStatuses, c)
		}
	}
	status.Phase = phaseOf(pod, rec)
	status.Conditions = conditionsOf(pod, rec, status.Phase, now)
	return status
}

// phaseOf follows kubelet: a pod is Pending until each container has run once, and stays Running when one of them has to be
// started again.
func phaseOf(pod *corev1.Pod, rec *podRecord) corev1.PodPhase {
	var pending, running, succeeded, failed int
	for _, s := range specsOf(pod) {
		if s.kind == ephemeralContainer {
			continue
		}
		status := rec.containers[s.name].status
		switch {
		case status.State.Running != nil:
			running++
		case status.State.Waiting != nil && status.LastTerminationState.Terminated == nil:
			pending++
		case status.State.Waiting != nil:
			running++
		case s.kind == initContainer:
		case status.State.Terminated.ExitCode == 0:
			succeeded++
		default:
			failed++
		}
	}
	switch {
	case pending > 0:
		return corev1.PodPending
	case running > 0:
		return corev1.PodRunning
	case failed > 0:
		return corev1.PodFailed
	case succeeded > 0:
		return corev1.PodSucceeded
	}
	return corev1.PodPending
}

func conditionsOf(pod *corev1.Pod, rec *podRecord, phase corev1.PodPhase, now metav1.Time) []corev1.PodCondition {
	var unready, incomplete []string
	for _, s := range specsOf(pod) {
		c := rec.containers[s.name]
		switch {
		case s.kind == initContainer && !c.initialized(s):
			incomplete = append(incomplete, s.name)
		case s.kind == appContainer && !c.status.Ready:
			unready = append(unready, s.name)
		}
	}
	ready := condition(len(unready) == 0, "ContainersNotReady", "containers with unready status", unready)
	switch phase {
	case corev1.PodSucceeded:
		ready = corev1.PodCondition{Status: corev1.ConditionFalse, Reason: "PodCompleted"}
	case corev1.PodFailed:
		ready = corev1.PodCondition{Status: corev1.ConditionFalse, Reason: "PodFailed"}
	}
	all := []corev1.PodCondition{
		named(corev1.PodReadyToStartContainers, corev1.PodCondition{Status: corev1.ConditionTrue}),
		named(corev1.PodInitialized, condition(len(incomplete) == 0, "ContainersNotInitialized", "containers with incomplete status", incomplete)),
		named(corev1.PodReady, ready),
		named(corev1.ContainersReady, ready),
		named(corev1.PodScheduled, corev1.PodCondition{Status: corev1.ConditionTrue}),
	}
	for i := range all {
		all[i].ObservedGeneration = pod.Generation
		all[i].LastTransitionTime = now
		for _, old := range rec.written.Conditions {
			if old.Type == all[i].Type && old.Status == all[i].Status {
				all[i].LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	return all
}

// initialized says whether an init container no longer holds up the ones after it.
func (c *container) initialized(s spec) bool {
	if s.sidecar() {
		return c.status.State.Running != nil
	}
	return c.status.State.Terminated != nil && c.status.State.Terminated.ExitCode == 0
}

func condition(ok bool, reason, text string, names []string) corev1.PodCondition {
	if ok {
		return corev1.PodCondition{Status: corev1.ConditionTrue}
	}
	return corev1.PodCondition{
		Status: corev1.ConditionFalse, Reason: reason, Message: fmt.Sprintf("%s: [%s]", text, strings.Join(names, " ")),
	}
}

func named(kind corev1.PodConditionType, condition corev1.PodCondition) corev1.PodCondition {
	condition.Type = kind
	return condition
}

// podIP gives each pod an address of its own, which nobody answers at.
func podIP(pod *corev1.Pod) string {
	hash := fnv.New32a()
	// Writing to a hash cannot fail.
	_, _ = hash.Write([]byte(pod.UID))
	sum := hash.Sum32()
	return fmt.Sprintf("10.%d.%d.%d", 128|byte(sum>>16)&127, byte(sum>>8), 1+byte(sum)%254)
}
