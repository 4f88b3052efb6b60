// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// forgetful is an API server that forgets where a list was after its first page.
type forgetful struct{ client.Reader }

// List gives a and b as a page, and all of a, b and c to whoever starts again.
func (forgetful) List(_ context.Context, list client.ObjectList, given ...client.ListOption) error {
	var options client.ListOptions
	options.ApplyOptions(given)
	names := []string{"a", "b"}
	switch {
	case options.Continue != "":
		return apierrors.NewResourceExpired("the provided continue parameter is too old")
	case options.Limit == 0:
		names = append(names, "c")
	default:
		list.SetContinue("more")
	}
	for _, name := range names {
		meta := metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}}
		switch l := list.(type) {
		case *v1alpha1.PullAccessGrantList:
			l.Items = append(l.Items, v1alpha1.PullAccessGrant{ObjectMeta: meta})
		case *v1alpha1.PullAccessPolicyList:
			l.Items = append(l.Items, v1alpha1.PullAccessPolicy{ObjectMeta: meta})
		}
	}
	return nil
}

// TestExpiredList: what is read twice is listed once, whichever kind it is.
func TestExpiredList(t *testing.T) {
	grants, grantsErr := Grants(t.Context(), forgetful{}, nil)
	chosen, chosenErr := Grants(t.Context(), forgetful{}, func(g *v1alpha1.PullAccessGrant) bool { return g.Name != "b" })
	policies, policiesErr := Policies(t.Context(), forgetful{})
	got := map[string][]string{}
	for i := range grants {
		got["grants"] = append(got["grants"], grants[i].Name+fmt.Sprint(len(grants[i].ManagedFields)))
	}
	for i := range chosen {
		got["chosen"] = append(got["chosen"], chosen[i].Name+fmt.Sprint(len(chosen[i].ManagedFields)))
	}
	for i := range policies {
		got["policies"] = append(got["policies"], policies[i].Name+fmt.Sprint(len(policies[i].ManagedFields)))
	}
	want := map[string][]string{"grants": {"a0", "b0", "c0"}, "chosen": {"a0", "c0"}, "policies": {"a0", "b0", "c0"}}
	if diff := cmp.Diff(want, got); diff != "" || grantsErr != nil || chosenErr != nil || policiesErr != nil {
		t.Errorf("%v, %v, %v (-want +got):\n%s", grantsErr, chosenErr, policiesErr, diff)
	}
}
