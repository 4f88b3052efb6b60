// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// ListsRepository tells whether the policy lists the repository, by the very rule by which a
// grant is decided.
func ListsRepository(policy *v1alpha1.PullAccessPolicy, repository imageref.Repository) bool {
	return listsRepository(policy.Spec.Repositories, repository)
}

// ListsAccount tells the same of a node's service account.
func ListsAccount(policy *v1alpha1.PullAccessPolicy, email string) bool {
	return listsAccount(policy.Spec.NodeServiceAccounts, email)
}
