// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"time"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// RetriesEvery follows a sentence about an IAM policy that somebody has to act on, and
// says when the operator tries again.
func RetriesEvery(interval time.Duration) string {
	return fmt.Sprintf(" The operator tries again every %d minutes.", int(interval.Minutes()))
}

// AccountNotFound says that the account does not exist.
func AccountNotFound(account string) string {
	return fmt.Sprintf("Service account %s does not exist; if it was deleted, give the node pool another account.", account)
}

// IAMPolicyForbidden says that the operator lacks access to the IAM policy. detail is
// Google's answer.
func IAMPolicyForbidden(repository imageref.Repository, detail string) string {
	return fmt.Sprintf("The operator has no access to the IAM policy of repository %s (%s); give its account artifactregistry.repositories.getIamPolicy and .setIamPolicy there.",
		repository, detail)
}

// OrganizationPolicy says that an organization policy rejects the member.
func OrganizationPolicy(repository imageref.Repository) string {
	return fmt.Sprintf("An organization policy refuses the member on repository %s; ask its administrator for an exception, or use an account of the organization.", repository)
}

// RepositoryNotFound says that the repository does not exist.
func RepositoryNotFound(repository imageref.Repository) string {
	return fmt.Sprintf("Repository %s does not exist; create it, or delete this grant.", repository)
}

// TooManyPrincipals says that the IAM policy has the most principals that Google allows.
func TooManyPrincipals(repository imageref.Repository, most int) string {
	return fmt.Sprintf("The IAM policy of repository %s is full at %d principals; put node accounts into a group and grant that.", repository, most)
}

// IAMPolicyConflict says that other writers keep changing the IAM policy.
func IAMPolicyConflict(repository imageref.Repository) string {
	return fmt.Sprintf("Others keep changing the IAM policy of repository %s; the operator tries again by itself.", repository)
}

// IAMPolicyUnchanged says that the IAM policy was not changed, and why.
func IAMPolicyUnchanged(repository imageref.Repository, detail string) string {
	return fmt.Sprintf("The IAM policy of repository %s was not changed: %s.", repository, detail)
}

// IAMPolicyUnreachable says that the operator retries to change the IAM policy, and why.
func IAMPolicyUnreachable(repository imageref.Repository, detail string) string {
	return fmt.Sprintf("The IAM policy of repository %s could not be changed yet: %s; the operator tries again by itself.", repository, detail)
}
