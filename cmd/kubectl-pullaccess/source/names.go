// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
)

// Names lists the names of one type, for completion: of a target's type, of
// "namespace", or of pods for "". Of pods it lists those that are pending. It offers one page, and nothing where it fails.
func Names(ctx context.Context, reader client.Reader, namespace, alias string) []string {
	list, options := client.ObjectList(&corev1.NamespaceList{}), &client.ListOptions{Namespace: namespace, Limit: cluster.PageSize}
	if alias != "namespace" {
		k, ok := kindOf(cmp.Or(alias, "pod"))
		if !ok {
			return nil
		}
		if k.name == podKind {
			options.FieldSelector = fields.OneTermEqualSelector("status.phase", string(corev1.PodPending))
		}
		list = k.list()
	}
	if err := reader.List(ctx, list, options); err != nil {
		return nil
	}
	var names []string
	// It fails only for what is no list.
	_ = meta.EachListItem(list, func(o runtime.Object) error {
		if object, ok := o.(client.Object); ok {
			names = append(names, object.GetName())
		}
		return nil
	})
	return names
}
