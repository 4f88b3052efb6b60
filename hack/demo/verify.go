// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// verify asks the cloud and the cluster themselves, not what was shown, whether
// the operator granted what was needed, and only that.
func (s *story) verify(ctx context.Context) error {
	var grants v1alpha1.PullAccessGrantList
	if err := s.client.List(ctx, &grants); err != nil {
		return fmt.Errorf("list grants: %w", err)
	}
	if len(grants.Items) != 1 {
		return fmt.Errorf("the operator made %d grants, not one", len(grants.Items))
	}
	grant := &grants.Items[0]
	if grant.Status.Origin != v1alpha1.OriginAdded || !meta.IsStatusConditionTrue(grant.Status.Conditions, v1alpha1.ConditionEffective) {
		return fmt.Errorf("grant %s was not added by the operator, or no pull was seen to work by it", grant.Name)
	}
	return errors.Join(s.verifyCloud(grant.Name), s.verifyDeployments(ctx))
}

// verifyCloud: one write, by this grant, of one member; other bindings as they were.
func (s *story) verifyCloud(grant string) error {
	made := writes(s.cloud)
	if len(made) != 1 || made[0].Resource != repositoryName("services") || !strings.Contains(made[0].Reason, grant) {
		return fmt.Errorf("the operator wrote %d policies, not that of repository services once for grant %s", len(made), grant)
	}
	after := accessOf(s.cloud, "services")
	member := readerRole + "  serviceAccount:" + nodeAccount
	kept := slices.DeleteFunc(slices.Clone(after), func(m string) bool { return m == member })
	if len(kept) != len(after)-1 || !slices.Equal(kept, s.before) {
		return errors.New("the policy of repository services did not change by exactly one member")
	}
	if len(accessOf(s.cloud, "payments")) != 0 {
		return errors.New("repository payments was opened, which no policy lists")
	}
	return nil
}

// verifyDeployments: the healed one is up, and only it was restarted.
func (s *story) verifyDeployments(ctx context.Context) error {
	for _, name := range []string{healed, mistyped, fenced} {
		var d appsv1.Deployment
		if err := s.client.Get(ctx, client.ObjectKey{Namespace: shopNamespace, Name: name}, &d); err != nil {
			return fmt.Errorf("read Deployment %s: %w", name, err)
		}
		_, restarted := d.Spec.Template.Annotations[workload.RestartedAt]
		switch {
		case name == healed && !rolledOut(&d):
			return fmt.Errorf("Deployment %s did not recover", name)
		case name != healed && restarted:
			return fmt.Errorf("Deployment %s was restarted, which could not help it", name)
		}
	}
	return nil
}
