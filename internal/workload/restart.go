// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// RestartedAt is the annotation of the pod template by which kubectl rollout
// restart makes a new rollout.
const RestartedAt = "kubectl.kubernetes.io/restartedAt"

// RolloutRestart sets RestartedAt on the workload's pod template, unless it
// stands at that time or a later one already: whoever restarted since, it is done.
// It reports whether it changed anything. Repeated with the same time it is the
// same patch, so that a crash around it never makes two rollouts.
func RolloutRestart(ctx context.Context, c client.Client, live Live, at time.Time) (bool, error) {
	if live.Paused || RestartedSince(live, at) {
		return false, nil
	}
	before, ok := live.Object.DeepCopyObject().(client.Object)
	if !ok {
		return false, fmt.Errorf("copy %T: not an object", live.Object)
	}
	if live.Template.Annotations == nil {
		live.Template.Annotations = map[string]string{}
	}
	live.Template.Annotations[RestartedAt] = at.UTC().Format(time.RFC3339)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Patch(ctx, live.Object, patch); err != nil {
		return false, fmt.Errorf("restart %s/%s: %w", live.Object.GetNamespace(), live.Object.GetName(), err)
	}
	return true, nil
}

// RestartedSince tells whether nothing is left to be restarted at that time: it
// was then or later, or there is no template that could be.
func RestartedSince(live Live, at time.Time) bool {
	if live.Template == nil {
		return true
	}
	last := live.RestartedAt()
	return !last.IsZero() && !last.Before(at.Truncate(time.Second))
}

// RestartedAt is when the workload was last restarted by its template, by whomever;
// zero if it never was, or there is no template.
func (l Live) RestartedAt() time.Time {
	if l.Template == nil {
		return time.Time{}
	}
	last, err := time.Parse(time.RFC3339, l.Template.Annotations[RestartedAt])
	if err != nil {
		return time.Time{}
	}
	return last
}

// DeletePod deletes this very pod as it was seen: not a later one of its name, and
// not one that has started since, which is a conflict. A pod that is gone already
// is no error.
func DeletePod(ctx context.Context, c client.Client, pod *corev1.Pod) error {
	uid, version := pod.UID, pod.ResourceVersion
	err := c.Delete(ctx, pod, client.Preconditions{UID: &uid, ResourceVersion: &version})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}
