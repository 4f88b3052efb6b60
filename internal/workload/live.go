// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// ErrGone says that the workload does not exist any more, or that another one
// has taken its name.
var ErrGone = errors.New("the workload is gone")

// Live is a workload as the API server has it now.
type Live struct {
	// Object is the workload itself, nil for a kind that this package cannot read.
	Object client.Object
	// Template is the pod template, nil where there is none that may be restarted.
	Template *corev1.PodTemplateSpec
	// Paused says that rollouts are paused by its owner.
	Paused bool
	// Scaled says that it wants at least one pod.
	Scaled bool
	// Ordered says that pods are replaced one by one, each waiting for the last:
	// a pod that is stuck then holds up its own replacement.
	Ordered bool
	// selector selects its pods, nil for a kind that has none.
	selector *metav1.LabelSelector
}

// Read gets the workload as it is now. It returns ErrGone when it is not there,
// or another has its name.
func Read(ctx context.Context, live client.Reader, w v1alpha1.Workload) (Live, error) {
	var found Live
	switch w.Kind {
	case Deployment:
		found.Object = &appsv1.Deployment{}
	case StatefulSet:
		found.Object = &appsv1.StatefulSet{}
	case DaemonSet:
		found.Object = &appsv1.DaemonSet{}
	case Pod:
		found.Object = &corev1.Pod{}
	default:
		return Live{Scaled: true}, nil
	}
	err := live.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: w.Name}, found.Object)
	if apierrors.IsNotFound(err) || err == nil && w.UID != "" && found.Object.GetUID() != w.UID {
		return Live{}, ErrGone
	}
	if err != nil {
		return Live{}, fmt.Errorf("read %s %s/%s: %w", w.Kind, w.Namespace, w.Name, err)
	}
	found.describe()
	return found, nil
}

func (l *Live) describe() {
	switch object := l.Object.(type) {
	case *appsv1.Deployment:
		l.Template, l.selector, l.Paused = &object.Spec.Template, object.Spec.Selector, object.Spec.Paused
		l.Scaled = object.Spec.Replicas == nil || *object.Spec.Replicas > 0
	case *appsv1.StatefulSet:
		l.Template, l.selector = &object.Spec.Template, object.Spec.Selector
		l.Scaled = object.Spec.Replicas == nil || *object.Spec.Replicas > 0
		l.Ordered = object.Spec.PodManagementPolicy != appsv1.ParallelPodManagement
	case *appsv1.DaemonSet:
		l.Template, l.selector = &object.Spec.Template, object.Spec.Selector
		l.Scaled = true
	default:
		l.Scaled = true
	}
}

// Selects tells whether the workload's selector really is about pod: an owner
// reference alone can be made up by whoever may create pods.
func (l Live) Selects(pod *corev1.Pod) bool {
	selector, err := metav1.LabelSelectorAsSelector(l.selector)
	return err == nil && selector.Matches(labels.Set(pod.Labels))
}

// maxPods bounds how many pods of a workload are looked at for one that has
// started; one is enough, and the pages come in no order that matters.
const maxPods = 500

// Pods lists pods of the workload as they are now, at most maxPods.
func (l Live) Pods(ctx context.Context, live client.Reader, w v1alpha1.Workload) ([]corev1.Pod, error) {
	if pod, ok := l.Object.(*corev1.Pod); ok {
		return []corev1.Pod{*pod}, nil
	}
	options := []client.ListOption{client.InNamespace(w.Namespace), client.Limit(maxPods)}
	if l.selector != nil {
		selector, err := metav1.LabelSelectorAsSelector(l.selector)
		if err != nil {
			return nil, fmt.Errorf("selector of %s %s/%s: %w", w.Kind, w.Namespace, w.Name, err)
		}
		options = append(options, client.MatchingLabelsSelector{Selector: selector})
	}
	var pods corev1.PodList
	if err := live.List(ctx, &pods, options...); err != nil {
		return nil, fmt.Errorf("list pods of %s %s/%s: %w", w.Kind, w.Namespace, w.Name, err)
	}
	if l.selector != nil {
		return pods.Items, nil
	}
	var own []corev1.Pod
	for i := range pods.Items {
		if controller := metav1.GetControllerOf(&pods.Items[i]); controller != nil && controller.UID == w.UID {
			own = append(own, pods.Items[i])
		}
	}
	return own, nil
}
