// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

const (
	// admin is whom shared.client speaks for.
	admin = "admin"
	// approver and editor have the roles for people of that name.
	approver, editor = "ann@example.com", "eve@example.com"
	// writer may write the status of grants, and has none of the verbs of a review; so may the others, who have one each:
	// narrow may approve narrowGrant alone.
	writer, decider, revoker, narrow = "wes@example.com", "dee@example.com", "rob@example.com", "ned@example.com"
	narrowGrant                      = "narrow-approver-approves-the-one"
)

// as is the client of a user. The operator uses its own token, everybody else is impersonated.
func as(t *testing.T, user string) client.Client {
	t.Helper()
	config := rest.CopyConfig(shared.Config)
	switch user {
	case admin:
		return shared.client
	case operatorUser:
		var err error
		if config, err = clientcmd.BuildConfigFromFlags("", shared.operator); err != nil {
			t.Fatal(err)
		}
	default:
		config.Impersonate.UserName = user
	}
	c, err := client.New(config, client.Options{Scheme: shared.client.Scheme(), Mapper: shared.client.RESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// onGrants is a right on grants, or on a part of them.
func onGrants(verb, resource string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{resource}, Verbs: []string{verb}, ResourceNames: names}
}

// enrol gives the users their rights, and returns when the API server knows of them.
func enrol(t *testing.T) {
	t.Helper()
	bind(t, approver, "pull-access-approver")
	bind(t, editor, "pull-access-policy-editor")
	for user, verbs := range map[string][]rbacv1.PolicyRule{
		writer:  nil,
		decider: {onGrants("approve", "pullaccessgrants")},
		revoker: {onGrants("revoke", "pullaccessgrants")},
		narrow:  {onGrants("approve", "pullaccessgrants", narrowGrant)},
	} {
		role := &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: "e2e-" + user},
			Rules:      append(verbs, onGrants("patch", "pullaccessgrants/status")),
		}
		createUntilEnd(t, role)
		bind(t, user, role.Name)
	}
	known(t, approver, "approve", "")
	known(t, editor, "delete", "")
	for _, user := range []string{writer, decider, revoker, narrow} {
		known(t, user, "patch", "status")
	}
}

// createUntilEnd creates what the test's end takes away.
func createUntilEnd(t *testing.T, object client.Object) {
	t.Helper()
	create(t, object)
	t.Cleanup(func() {
		if err := shared.client.Delete(context.WithoutCancel(t.Context()), object); err != nil {
			t.Error(err)
		}
	})
}

func bind(t *testing.T, user, role string) {
	t.Helper()
	createUntilEnd(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "e2e-" + user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	})
}

// known waits until the API server lets the user do this with grants.
func known(t *testing.T, user, verb, subresource string) {
	t.Helper()
	eventually(t, user+" may "+verb, func(ctx context.Context) (bool, any) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Group: v1alpha1.GroupVersion.Group, Resource: "pullaccessgrants", Verb: verb, Subresource: subresource,
			},
		}}
		err := shared.client.Create(ctx, review)
		return err == nil && review.Status.Allowed, []any{err, review.Status}
	})
}
