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
	// Object is the workload itself.
	Object client.Object
	// Template is the pod template, nil where there is none that may be restarted.
	Template *corev1.PodTemplateSpec
	// Paused says that rollouts are paused by its owner, or that it replaces pods
	// only when somebody deletes them.
	Paused bool
	// Scaled says that it wants at least one pod.
	Scaled bool
	// Ordered says that pods are replaced one by one, each waiting for the last:
	// a pod that is stuck then holds up its own replacement.
	Ordered bool
	// selector selects its pods; a pod has none.
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
		return Live{}, ErrGone
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
		l.Paused = object.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType
	case *appsv1.DaemonSet:
		l.Template, l.selector = &object.Spec.Template, object.Spec.Selector
		l.Scaled = true
		l.Paused = object.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType
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

// EachPod visits pods of the workload as they are now, one at a time and at most maxPods.
func (l Live) EachPod(ctx context.Context, live Lister, w v1alpha1.Workload, visit func(*corev1.Pod) error) error {
	if pod, ok := l.Object.(*corev1.Pod); ok {
		return visit(pod)
	}
	selector, err := metav1.LabelSelectorAsSelector(l.selector)
	if err != nil {
		return fmt.Errorf("selector of %s %s/%s: %w", w.Kind, w.Namespace, w.Name, err)
	}
	var page corev1.PodList
	var size PageSize
	for seen := int64(0); seen < maxPods; {
		limit := min(size.Limit(), maxPods-seen)
		bytes, err := live.Each(ctx, &page, func(object client.Object) error {
			pod, ok := object.(*corev1.Pod)
			if !ok {
				return fmt.Errorf("a pod was listed as %T", object)
			}
			return visit(pod)
		}, client.InNamespace(w.Namespace), client.MatchingLabelsSelector{Selector: selector}, client.Limit(limit), client.Continue(page.Continue))
		if err != nil {
			return fmt.Errorf("list pods of %s %s/%s: %w", w.Kind, w.Namespace, w.Name, err)
		}
		if page.Continue == "" {
			return nil
		}
		seen, size = seen+limit, size.After(bytes, nil)
	}
	return nil
}
