// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxNamespaceLabels limits the cached labels of a namespace, in bytes.
const maxNamespaceLabels = 8 << 10

// labelsOmitted is the annotation of a cached namespace without its labels. The API server
// rejects keys with spaces, so that no user can set it.
const labelsOmitted = "labels omitted"

// NewNamespaceMetadata returns an empty object for reads of a namespace's metadata. Every reader uses it, so that they
// share one cache.
func NewNamespaceMetadata() *metav1.PartialObjectMetadata {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return namespace
}

// CachedNamespace returns the metadata of a namespace that the controllers read, in a
// bounded size. It is idempotent.
func CachedNamespace(namespace *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	kept := &metav1.PartialObjectMetadata{TypeMeta: namespace.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Name: namespace.Name, UID: namespace.UID, ResourceVersion: namespace.ResourceVersion,
		CreationTimestamp: namespace.CreationTimestamp, DeletionTimestamp: namespace.DeletionTimestamp,
	}}
	size := 0
	for key, value := range namespace.Labels {
		size += labelCost + len(key) + len(value)
	}
	_, marked := namespace.Annotations[labelsOmitted]
	if marked || size > maxNamespaceLabels {
		kept.Annotations = map[string]string{labelsOmitted: "true"}
	} else {
		kept.Labels = namespace.Labels
	}
	return kept
}

// NamespaceLabels reads the labels by which policies select a namespace. It reads only the
// metadata, because the cache holds no more of namespaces. It omits labels of more than 8 KB.
// No policy selects a namespace without them, because a selector may require the absence of
// a label.
func NamespaceLabels(ctx context.Context, reader client.Reader, name string) (labels map[string]string, omitted bool, _ error) {
	namespace := NewNamespaceMetadata()
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, namespace); err != nil {
		return nil, true, fmt.Errorf("read namespace %s: %w", name, err)
	}
	labels, omitted = SelectableLabels(namespace)
	return labels, omitted, nil
}

// SelectableLabels returns the labels of a namespace by which policies select it. It omits
// labels of more than 8 KB, as NamespaceLabels does.
func SelectableLabels(namespace *metav1.PartialObjectMetadata) (labels map[string]string, omitted bool) {
	kept := CachedNamespace(namespace) // A reader without a cache omits the same labels.
	_, omitted = kept.Annotations[labelsOmitted]
	return kept.Labels, omitted
}
