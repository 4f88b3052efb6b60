// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// newInformer returns the informer of one kind. If the API server streams lists, an
// informer transforms each object as it arrives. If it does not, an informer holds the
// whole first list before it transforms anything. For pods and namespaces, newInformer
// therefore reads that list itself, one object at a time.
func (l lister) newInformer(from toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	whole := toolscache.ToListerWatcherWithContext(from)
	return toolscache.NewSharedIndexInformer(&toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			switch object := example.(type) {
			case *corev1.Pod:
				options.FieldSelector = pendingPods.String()
				return l.slimPods(ctx, options)
			case *metav1.PartialObjectMetadata:
				return l.slimMetadata(ctx, object.GroupVersionKind(), options)
			default:
				return whole.ListWithContext(ctx, options)
			}
		},
		WatchFuncWithContext: whole.WatchWithContext,
	}, example, resync, indexers)
}

func (l lister) slimPods(ctx context.Context, options metav1.ListOptions) (*corev1.PodList, error) {
	pods := &corev1.PodList{}
	kind := corev1.SchemeGroupVersion.WithKind("Pod")
	_, found, err := l.each(ctx, request{kind: kind, options: options}, func(object client.Object) error {
		return stripped(stripPod, object, func(pod *corev1.Pod) { pods.Items = append(pods.Items, *pod) })
	})
	pods.ListMeta = found
	return pods, err
}

func (l lister) slimMetadata(ctx context.Context, kind schema.GroupVersionKind, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	list := &metav1.PartialObjectMetadataList{}
	_, found, err := l.each(ctx, request{kind: kind, options: options, metadata: true}, func(object client.Object) error {
		return stripped(stripNamespace, object, func(one *metav1.PartialObjectMetadata) {
			one.SetGroupVersionKind(kind)
			list.Items = append(list.Items, *one)
		})
	})
	list.ListMeta = found
	return list, err
}

// stripped transforms the object and passes the result to add.
func stripped[T any](transform toolscache.TransformFunc, object any, add func(T)) error {
	left, err := transform(object)
	if err != nil {
		return err
	}
	one, ok := left.(T)
	if !ok {
		return fmt.Errorf("%T is not of the listed type", left)
	}
	add(one)
	return nil
}
