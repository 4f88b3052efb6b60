// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/internal/workload"
)

// stripPod reduces a pod to the fields that the controllers read, in a bounded size, before
// the informer caches it.
func stripPod(object any) (any, error) {
	if pod, ok := object.(*corev1.Pod); ok {
		return workload.Cached(pod), nil
	}
	return object, nil
}

// stripNamespace reduces a namespace to its labels, in a bounded size.
func stripNamespace(object any) (any, error) {
	if namespace, ok := object.(*metav1.PartialObjectMetadata); ok {
		return workload.CachedNamespace(namespace), nil
	}
	return object, nil
}
