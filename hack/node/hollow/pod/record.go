// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// podRecord is what the node knows of one pod.
type podRecord struct {
	uid        types.UID
	containers map[string]*container
	// written is the status that the API server last took.
	written corev1.PodStatus
	// cancel ends what is being done for the pod, so that a deletion need not wait for a slow pull.
	cancel context.CancelFunc
}

// write sends the pod's status to the API server, if it differs from what it sent last.
func (r *Runner) write(ctx context.Context, pod *corev1.Pod, rec *podRecord) error {
	status := statusOf(pod, rec, r.now())
	if equality.Semantic.DeepEqual(status, rec.written) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	_, err = r.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // The pod is gone, or another of the same name is there.
	}
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	rec.written = status
	return nil
}

// record returns what is known of the pod; a pod that is new to this node is taken over as the API server shows it.
func (r *Runner) record(key types.NamespacedName, pod *corev1.Pod) *podRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.records[key]
	if rec == nil || rec.uid != pod.UID {
		rec = &podRecord{uid: pod.UID, containers: map[string]*container{}, written: *pod.Status.DeepCopy()}
		for _, statuses := range [][]corev1.ContainerStatus{
			pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses,
		} {
			for _, status := range statuses {
				rec.containers[status.Name] = &container{status: *status.DeepCopy()}
			}
		}
		r.records[key] = rec
	}
	for _, s := range specsOf(pod) {
		c := rec.containers[s.name]
		if c == nil {
			rec.containers[s.name] = newContainer(s, s.kind == appContainer && len(pod.Spec.InitContainers) > 0)
		} else if c.image == "" {
			c.image = s.image
		}
	}
	return rec
}

func (r *Runner) forget(key types.NamespacedName) {
	r.mu.Lock()
	rec := r.records[key]
	delete(r.records, key)
	r.mu.Unlock()
	if rec != nil {
		r.images.Forget(rec.uid)
	}
}
