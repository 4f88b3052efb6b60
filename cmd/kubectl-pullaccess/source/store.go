// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"reflect"

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

// List fills in policies, the only list that is asked for.
func (s *Store) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	policies, ok := list.(*v1alpha1.PullAccessPolicyList)
	if !ok || s.objects["PullAccessPolicy"] == nil {
		return apierrors.NewForbidden(schema.GroupResource{}, "", errNotInFile)
	}
	for _, o := range s.objects["PullAccessPolicy"] {
		if policy, ok := o.(*v1alpha1.PullAccessPolicy); ok {
			policies.Items = append(policies.Items, *policy)
		}
	}
	return nil
}
