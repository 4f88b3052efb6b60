// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	// NoPolicy says that no policy allows a grant.
	NoPolicy = "No PullAccessPolicy allows the operator to grant it; make one, or grant it by hand."
	// PodNotCovered says that access was granted for other pods and that no policy covers
	// this one.
	PodNotCovered = "No PullAccessPolicy in mode Enforce or Approve covers this pod, so its workload is not restarted; the kubelet pulls by itself once the access works."
)

// WouldGrant says what the policy would grant in another mode than DryRun.
func WouldGrant(repository imageref.Repository, account, policy string) string {
	return fmt.Sprintf("Would grant service account %s read access to repository %s, but policy %s is in mode DryRun; set its spec.mode to Enforce, or Approve, to have it done.",
		account, repository, policy)
}

// PolicyDenies says that the policy denies a grant, by which field and why. why is one of
// the clauses below.
func PolicyDenies(policy, why, field string) string {
	return fmt.Sprintf("Policy %s does not allow the grant: %s (%s).", policy, why, field)
}

// The clauses say why a policy denies a grant.
const (
	// PodNotSelected is the clause for spec.podSelector.
	PodNotSelected = "it does not select the pod"
	// PolicyDeleted is the clause for a policy that is being deleted.
	PolicyDeleted = "it is being deleted"
	// PolicyIsPaused is the clause for spec.pause.
	PolicyIsPaused = "it is paused"
	// ModeIsDryRun is the clause for spec.mode.
	ModeIsDryRun = "its mode is DryRun"
)

// NamespaceLabelsTooLarge is the clause for a namespace with more labels than the operator
// reads.
func NamespaceLabelsTooLarge(namespace string) string {
	return "it cannot select namespace " + namespace + ", because the labels of the namespace are larger than 8 KB"
}

// NamespaceNotSelected is the clause for spec.namespaceSelector.
func NamespaceNotSelected(namespace string) string {
	return "it does not select namespace " + namespace
}

// RepositoryNotListed is the clause for spec.repositories.
func RepositoryNotListed(repository imageref.Repository) string {
	return "it does not list repository " + repository.String()
}

// AccountNotListed is the clause for spec.nodeServiceAccounts.
func AccountNotListed(account string) string { return "it does not list service account " + account }

// ComputeDefaultAccount is the clause for spec.computeDefaultServiceAccount.
func ComputeDefaultAccount(account string) string {
	return "it does not allow Compute Engine default service accounts such as " + account + "; give the nodes an account of their own"
}

// VirtualRepository is the clause for spec.virtualRepositories.
func VirtualRepository(repository imageref.Repository) string {
	return "repository " + repository.String() + " is virtual, and a grant there opens all its upstream repositories"
}
