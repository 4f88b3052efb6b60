// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// parallel is how many objects are made at the same time.
const parallel = 32

// each calls do for 0 to n-1, some at the same time, and returns the first error.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	return eachBy(ctx, parallel, n, do)
}

// eachBy is each with a limit on concurrency.
func eachBy(ctx context.Context, parallel, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	indices, done := make(chan int), make(chan struct{})
	for range parallel {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range indices {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		}()
	}
feed:
	for i := range n {
		select {
		case indices <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(indices)
	for range parallel {
		<-done
	}
	return context.Cause(ctx)
}

func makeNamespace(ctx context.Context, client kubernetes.Interface, name string) error {
	_, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("make namespace %s: %w", name, err)
	}
	return nil
}

func deployment(namespace, name, image string, replicas int) *appsv1.Deployment {
	labels := map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": namespace}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(int32(replicas)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
			},
		},
	}
}

// deploy pushes the image of a Deployment, so that nothing but access is missing, and makes it.
func deploy(ctx context.Context, l *lab, google *cloud, d *appsv1.Deployment) error {
	if err := google.PushImage(d.Spec.Template.Spec.Containers[0].Image); err != nil {
		return err
	}
	if err := l.client.Create(ctx, d); err != nil {
		return fmt.Errorf("make Deployment %s: %w", d.Name, err)
	}
	return nil
}

// policyName is that of the one policy, which opens every repository to every pool.
const policyName = "bench"

// restartDelay is the policy's; iamDelay is how long the emulated IAM needs for a change. With kubelet's back-off (pulls 0,
// 10, 30 and 70 seconds after the first) no pull works before the restarts are due, and the next come long after: nearly
// every Deployment is still stuck when it is its turn.
const restartDelay, iamDelay = 45 * time.Second, 40 * time.Second

// policy enforces, with limits that let a storm through.
func policy() *v1alpha1.PullAccessPolicy {
	p := &v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: policyName}}
	p.Spec = v1alpha1.PullAccessPolicySpec{
		Mode:              v1alpha1.ModeEnforce,
		NamespaceSelector: &metav1.LabelSelector{},
		Repositories:      []v1alpha1.RepositoryPattern{{Project: imageProject, Location: location, Name: "team-*"}},
		Restart:           v1alpha1.RestartSpec{Delay: &metav1.Duration{Duration: restartDelay}},
		Limits: v1alpha1.LimitsSpec{
			MaxGrantsPerHour: 1000, MaxRestartsPerHour: 10000, CircuitBreaker: v1alpha1.CircuitBreakerSpec{MaxRepositories: 1000},
		},
	}
	for _, pool := range pools {
		p.Spec.NodeServiceAccounts = append(p.Spec.NodeServiceAccounts, accountOf(pool))
	}
	return p
}
