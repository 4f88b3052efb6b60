// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// ErrNoKinds says of a cluster that it has none of our kinds.
var ErrNoKinds = errors.New("the cluster has no PullAccessPolicies and PullAccessGrants: install the operator there, or name another cluster with --context")

// Grants lists all grants that keep accepts, by name; nil accepts all.
func Grants(ctx context.Context, reader client.Reader, keep func(*v1alpha1.PullAccessGrant) bool) ([]v1alpha1.PullAccessGrant, error) {
	return all(ctx, reader, func() *v1alpha1.PullAccessGrantList { return &v1alpha1.PullAccessGrantList{} },
		func(page *v1alpha1.PullAccessGrantList) []v1alpha1.PullAccessGrant { return page.Items }, keep)
}

// Policies lists all policies, by name.
func Policies(ctx context.Context, reader client.Reader) ([]v1alpha1.PullAccessPolicy, error) {
	return all(ctx, reader, func() *v1alpha1.PullAccessPolicyList { return &v1alpha1.PullAccessPolicyList{} },
		func(page *v1alpha1.PullAccessPolicyList) []v1alpha1.PullAccessPolicy { return page.Items }, nil)
}

// all lists the objects of a kind that keep accepts, page by page and each once,
// without their managed fields; nil accepts all.
func all[L client.ObjectList, T any, O interface {
	*T
	client.Object
}](ctx context.Context, reader client.Reader, empty func() L, items func(L) []T, keep func(O) bool) ([]T, error) {
	var found []T
	seen := map[types.UID]bool{}
	err := Each(ctx, reader, client.ListOptions{}, empty, func(page L) {
		list := items(page)
		for i := range list {
			object := O(&list[i])
			if uid := object.GetUID(); uid != "" && seen[uid] || keep != nil && !keep(object) {
				continue
			}
			seen[object.GetUID()] = true
			object.SetManagedFields(nil)
			found = append(found, list[i])
		}
	})
	return found, listed(err)
}

// Get reads one object by its name.
func Get(ctx context.Context, reader client.Reader, name string, object client.Object) error {
	err := reader.Get(ctx, types.NamespacedName{Name: name}, object)
	if apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) && apierrors.IsNotFound(err) {
		return ErrNoKinds // The server does not know the path, and so says nothing of the name.
	}
	return Missing(err)
}

func listed(err error) error {
	if apierrors.IsNotFound(err) {
		return ErrNoKinds
	}
	return Unreached(err)
}

// Missing tells a wrong name, which is the caller's doing, from a cluster that
// does not answer.
func Missing(err error) error {
	if apierrors.IsNotFound(err) {
		return err
	}
	return Unreached(err)
}

// Named says of an error which object it is about, unless it says so itself.
func Named(name string, err error) error {
	if err == nil || Refused(err) || errors.Is(err, ErrNoKinds) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}
