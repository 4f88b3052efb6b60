// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/pull-access/pull-access-operator/hack/bench/kubelet"
)

// podsPerNamespace is how many healthy pods share a namespace.
const podsPerNamespace = 500

// fleet is the healthy pods of a cluster without controllers, and their nodes.
type fleet struct {
	lab  *lab
	pods int
	// bytes is the size of the last pod as JSON.
	bytes int
}

// grow makes pods until there are so many.
func (f *fleet) grow(ctx context.Context, pods int) error {
	if err := f.growNodes(ctx, pods); err != nil {
		return err
	}
	for i := roundUp(f.pods, podsPerNamespace); i < roundUp(pods, podsPerNamespace); i++ {
		if err := f.namespace(ctx, namespaceOf(i*podsPerNamespace)); err != nil {
			return err
		}
	}
	from := f.pods
	err := each(ctx, pods-from, func(ctx context.Context, i int) error { return f.pod(ctx, from+i) })
	if err != nil || pods == 0 {
		return err
	}
	f.pods = pods
	last, err := f.lab.typed.CoreV1().Pods(namespaceOf(pods-1)).Get(ctx, podName(pods-1), metav1.GetOptions{})
	if err != nil {
		return err
	}
	data, err := json.Marshal(last)
	f.bytes = len(data)
	return err
}

func roundUp(n, by int) int { return (n + by - 1) / by }

func namespaceOf(pod int) string { return fmt.Sprintf("team-%03d", pod/podsPerNamespace) }

func podName(i int) string {
	return fmt.Sprintf("service-%05d-7c9d8b5f4c-%05d", i/podsPerDeployment, i)
}

func (f *fleet) growNodes(ctx context.Context, pods int) error {
	have, want := roundUp(f.pods, kubelet.PodsPerNode), roundUp(pods, kubelet.PodsPerNode)
	nodes := nodesFor(want)
	return each(ctx, want-have, func(ctx context.Context, i int) error {
		return kubelet.Register(ctx, f.lab.typed, nodes[have+i], time.Now())
	})
}

// namespace makes one with the service account that else a controller makes.
func (f *fleet) namespace(ctx context.Context, name string) error {
	if err := makeNamespace(ctx, f.lab.typed, name); err != nil {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err := f.lab.typed.CoreV1().ServiceAccounts(name).Create(ctx, account, metav1.CreateOptions{})
	return err
}

// pod makes one, and says that it runs, as its kubelet would.
func (f *fleet) pod(ctx context.Context, i int) error {
	pods := f.lab.typed.CoreV1().Pods(namespaceOf(i))
	made, err := pods.Create(ctx, healthy(i), metav1.CreateOptions{FieldManager: "kube-controller-manager"})
	if err != nil {
		return fmt.Errorf("make pod %d: %w", i, err)
	}
	made.Status = kubelet.Running(made, metav1.Now())
	if _, err := pods.UpdateStatus(ctx, made, metav1.UpdateOptions{FieldManager: "kubelet"}); err != nil {
		return fmt.Errorf("run pod %d: %w", i, err)
	}
	return nil
}

// healthy is a pod as services are: an application and its proxy, with what is usually set on them.
func healthy(i int) *corev1.Pod {
	service := fmt.Sprintf("service-%05d", i/podsPerDeployment)
	nodes := i/kubelet.PodsPerNode + 1
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: podName(i),
			Labels: map[string]string{
				"app.kubernetes.io/name": service, "app.kubernetes.io/part-of": namespaceOf(i), "app.kubernetes.io/version": "1.8.2",
				"pod-template-hash": "7c9d8b5f4c",
			},
			Annotations: map[string]string{"kubectl.kubernetes.io/restartedAt": "2026-11-01T03:00:00Z"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: service + "-7c9d8b5f4c",
				UID: types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i/podsPerDeployment)), Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		},
		Spec: corev1.PodSpec{
			NodeName:   nodesFor(nodes)[nodes-1].Name,
			Containers: []corev1.Container{containerOf("app", service), containerOf("proxy", "proxy")},
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: service}}}},
			},
		},
	}
}

func containerOf(name, image string) corev1.Container {
	c := corev1.Container{
		Name: name, Image: imageOf(repositoryOf(0), image), Args: []string{"--port=8080", "--log-level=info"},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/app"}},
	}
	for _, variable := range []string{"DATABASE_HOST", "CACHE_HOST"} {
		c.Env = append(c.Env, corev1.EnvVar{Name: variable, Value: name + ".example.internal:8080"})
	}
	c.Env = append(c.Env, corev1.EnvVar{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}})
	return c
}
