// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Store answers for the cluster from what a file shows of it. What is not in the
// file may well be in the cluster, so it is not "not found" but refused: whoever
// asks then knows that it is unknown.
type Store struct {
	objects map[string]map[types.NamespacedName]client.Object
}

var _ client.Reader = (*Store)(nil)

func newStore() *Store { return &Store{objects: map[string]map[types.NamespacedName]client.Object{}} }

func (s *Store) add(o client.Object) {
	kind := kindName(o)
	if s.objects[kind] == nil {
		s.objects[kind] = map[types.NamespacedName]client.Object{}
	}
	s.objects[kind][client.ObjectKeyFromObject(o)] = o
}

// kindName is the object's kind, of metadata alone the kind that it is asked for.
func kindName(o client.Object) string {
	if metadata, ok := o.(*metav1.PartialObjectMetadata); ok {
		return metadata.Kind
	}
	return reflect.TypeOf(o).Elem().Name()
}

// errNotInFile is why a fact is unknown.
var errNotInFile = errors.New("it is not in the file")

// Get fills in object.
func (s *Store) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	kind := kindName(object)
	found, ok := s.objects[kind][key]
	if !ok {
		return apierrors.NewForbidden(schema.GroupResource{Resource: kind}, key.String(), errNotInFile)
	}
	if metadata, ok := object.(*metav1.PartialObjectMetadata); ok {
		metadata.SetName(found.GetName())
		metadata.SetNamespace(found.GetNamespace())
		metadata.SetLabels(found.GetLabels())
		metadata.SetAnnotations(found.GetAnnotations())
		return nil
	}
	to, from := reflect.ValueOf(object).Elem(), reflect.ValueOf(found).Elem()
	if to.Type() != from.Type() {
		return fmt.Errorf("a %T is asked for as a %T", found, object)
	}
	to.Set(from)
	return nil
}

// List fills in policies or grants, the only lists that are asked for.
func (s *Store) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch l := list.(type) {
	case *v1alpha1.PullAccessPolicyList:
		return fill(&l.Items, s.objects["PullAccessPolicy"])
	case *v1alpha1.PullAccessGrantList:
		return fill(&l.Items, s.objects["PullAccessGrant"])
	default:
		return errUnlisted
	}
}

// errUnlisted says that a file does not tell whether it has all objects of a kind.
var errUnlisted = apierrors.NewForbidden(schema.GroupResource{}, "", errNotInFile)

// fill appends the objects to the list, in the order of their names.
func fill[T any, O interface {
	*T
	client.Object
}](items *[]T, objects map[types.NamespacedName]client.Object) error {
	if objects == nil {
		return errUnlisted
	}
	for _, o := range slices.SortedFunc(maps.Values(objects), func(a, b client.Object) int { return cmp.Compare(a.GetName(), b.GetName()) }) {
		if object, ok := o.(O); ok {
			*items = append(*items, *object)
		}
	}
	return nil
}
