// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pull-access/pull-access-operator/controllers/failure"
	"github.com/pull-access/pull-access-operator/controllers/grant"
	"github.com/pull-access/pull-access-operator/controllers/policy"
	"github.com/pull-access/pull-access-operator/controllers/restart"
	"github.com/pull-access/pull-access-operator/internal/gcp"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// addControllers wires the four controllers in the order of the flow.
func addControllers(ctx context.Context, mgr manager.Manager, cloud *gcp.Client) error {
	now := clock.RealClock{}
	cached := gcp.NewCached(cloud, now)
	owners, nodes := workload.NewOwners(mgr.GetAPIReader()), workload.NewNodes(mgr.GetAPIReader())
	recorder := mgr.GetEventRecorder(name)
	if err := (&failure.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Cloud: cached,
		Owners: owners, Nodes: nodes, Recorder: recorder, Clock: now,
	}).SetupWithManager(mgr); err != nil {
		return fmt.Errorf("set up failure controller: %w", err)
	}
	if err := (&grant.Reconciler{
		Client: mgr.GetClient(), Cloud: cached, Recorder: recorder, Clock: now,
	}).SetupWithManager(ctx, mgr); err != nil {
		return fmt.Errorf("set up grant controller: %w", err)
	}
	if err := (&restart.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Pullers: cached,
		Owners: owners, Nodes: nodes, Recorder: recorder, Clock: now,
	}).SetupWithManager(ctx, mgr); err != nil {
		return fmt.Errorf("set up restart controller: %w", err)
	}
	if err := (&policy.Reconciler{
		Client: mgr.GetClient(), Cloud: cached, Recorder: recorder,
	}).SetupWithManager(mgr); err != nil {
		return fmt.Errorf("set up policy controller: %w", err)
	}
	return nil
}

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
