// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// ofSandbox reads a failure to pull the image of the pod's sandbox. The node's
// configuration names that image, not the pod: nothing can be opened for it.
func ofSandbox(pod *corev1.Pod, event *corev1.Event, message string) (Failure, bool) {
	if Classify(Text{Message: message, Reason: event.Reason}).Cause == NotPullFailure || !lastSeen(event).After(lastSandbox(pod)) {
		return Failure{}, false
	}
	return Failure{Role: Sandbox, SandboxImage: sandboxImage(message), Reason: event.Reason, Message: message}, true
}

// lastSandbox is the last time that the pod is known to have had a sandbox.
func lastSandbox(pod *corev1.Pod) time.Time {
	var last time.Time
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Type == corev1.PodReadyToStartContainers && condition.Status == corev1.ConditionTrue {
			last = condition.LastTransitionTime.Time
		}
	}
	eachContainer(pod, func(_ Role, _ string, _ int, c *corev1.Container, statuses []corev1.ContainerStatus) {
		if start := lastStart(statusOf(statuses, c.Name)); start.After(last) {
			last = start
		}
	})
	return last
}

// sandboxImage is the image that the text of a sandbox's failure names: that of
// containerd, CRI-O or docker.
func sandboxImage(message string) string {
	for _, intro := range []string{"sandbox image ", "pulling image ", "pull image "} {
		_, rest, ok := strings.Cut(message, intro)
		if !ok {
			continue
		}
		if name := strings.TrimLeft(rest, `\"`); len(name) < len(rest) {
			name, _, _ = strings.Cut(name, `"`)
			return unquote(name)
		}
	}
	return ""
}
