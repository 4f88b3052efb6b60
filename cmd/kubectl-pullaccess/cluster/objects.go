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

// errNoKinds says of a cluster that it has none of our kinds.
var errNoKinds = errors.New("the cluster has no PullAccessPolicies and PullAccessGrants: install the operator there, or name another cluster with --context")

// Grants lists all grants that keep accepts, by name; nil accepts all.
func Grants(ctx context.Context, reader client.Reader, keep func(*v1alpha1.PullAccessGrant) bool) ([]v1alpha1.PullAccessGrant, error) {
	var all []v1alpha1.PullAccessGrant
	seen := map[types.UID]bool{}
	err := Each(ctx, reader, client.ListOptions{}, func() *v1alpha1.PullAccessGrantList { return &v1alpha1.PullAccessGrantList{} },
		func(list *v1alpha1.PullAccessGrantList) {
			for i := range list.Items {
				g := &list.Items[i]
				if again := g.UID != "" && seen[g.UID]; again || keep != nil && !keep(g) {
					continue
				}
				seen[g.UID] = true
				g.ManagedFields = nil
				all = append(all, *g)
			}
		})
	return all, listed(err)
}

// Policies lists all policies.
func Policies(ctx context.Context, reader client.Reader) ([]v1alpha1.PullAccessPolicy, error) {
	list := &v1alpha1.PullAccessPolicyList{}
	if err := reader.List(ctx, list); err != nil {
		return nil, listed(err)
	}
	return list.Items, nil
}

// Get reads one object by its name.
func Get(ctx context.Context, reader client.Reader, name string, object client.Object) error {
	err := reader.Get(ctx, types.NamespacedName{Name: name}, object)
	if apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) && apierrors.IsNotFound(err) {
		return errNoKinds // The server does not know the path, and so says nothing of the name.
	}
	return Missing(err)
}

func listed(err error) error {
	if apierrors.IsNotFound(err) {
		return errNoKinds
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
	if err == nil || Refused(err) || errors.Is(err, errNoKinds) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}
