// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// CloudNotAsked says that the command line lacks credentials of Google Cloud.
const CloudNotAsked = "Google Cloud was not asked: no credentials. Run: " + LoginCommand

// AccessRequested says that the operator requests access under the policy.
func AccessRequested(repository imageref.Repository, account, policy string) string {
	return fmt.Sprintf("Requesting read access to %s for %s%s.", repositoryName(repository), accountName(account), underPolicy(policy))
}

// WaitingForApproval says that the grant needs a review under the policy.
func WaitingForApproval(repository imageref.Repository, account, policy string) string {
	return fmt.Sprintf("Read access to %s for %s needs an approval%s.", repositoryName(repository), accountName(account), underPolicy(policy))
}

// underPolicy names the policy, "" if it is unknown.
func underPolicy(policy string) string {
	if policy == "" {
		return ""
	}
	return " (policy " + policy + ")"
}

// AccessApproved says that the operator is about to grant access that a reviewer approved.
// review is a sentence of review.go.
func AccessApproved(review string, repository imageref.Repository, account string) string {
	return fmt.Sprintf("%s The operator is about to grant %s read access to %s.", review, accountName(account), repositoryName(repository))
}

// AccessRevoking says that the operator is about to revoke access. review is a sentence of
// review.go, or "" if somebody deleted the grant.
func AccessRevoking(review string, repository imageref.Repository, account string) string {
	if review == "" {
		review = "Somebody deleted the PullAccessGrant."
	}
	return fmt.Sprintf("%s The operator is about to revoke the read access of %s to %s.", review, accountName(account), repositoryName(repository))
}

// WaitingForAccess says that the operator granted access and that IAM propagates it.
func WaitingForAccess(repository imageref.Repository, account string) string {
	return fmt.Sprintf("Granted %s read access to %s; waiting for IAM propagation, and the kubelet retries the pull.", accountName(account), repositoryName(repository))
}

// AccessBlocked says that the account has had access for so long that something else
// blocks the pull.
func AccessBlocked(repository imageref.Repository, account, grant string) string {
	return fmt.Sprintf("%s has read access to %s (PullAccessGrant %s), and IAM has propagated it, so a grant cannot help; look for a deny policy, a principal access boundary, VPC Service Controls or a download rule that blocks the account.",
		"Service account "+account, repositoryName(repository), grant)
}

// LoginCommand gives the command line credentials of Google Cloud.
const LoginCommand = "gcloud auth application-default login"

// ListPoliciesCommand lists the policies.
const ListPoliciesCommand = "kubectl get pullaccesspolicies"

// EditPolicyCommand is the command that edits the policy.
func EditPolicyCommand(policy string) string { return "kubectl edit pullaccesspolicy " + policy }

// DescribePolicyCommand is the command that shows the policy and its limits.
func DescribePolicyCommand(policy string) string {
	return "kubectl describe pullaccesspolicy " + policy
}

// EnforceCommand is the command that sets the policy's spec.mode to Enforce.
func EnforceCommand(policy string) string {
	return "kubectl patch pullaccesspolicy " + policy + ` --type=merge --patch='{"spec":{"mode":"Enforce"}}'`
}

// ResumeCommand is the command that resumes the paused policy.
func ResumeCommand(policy string) string { return "kubectl pullaccess resume " + policy }

// EditNamespaceCommand is the command that edits the labels of the namespace.
func EditNamespaceCommand(namespace string) string { return "kubectl edit namespace " + namespace }

// ApproveCommand is the command that approves the grant.
func ApproveCommand(grant string) string { return "kubectl pullaccess approve " + grant }

// ShowCommand is the command that shows the grant.
func ShowCommand(grant string) string { return "kubectl pullaccess grants " + grant }

// DeclareCommand is the command that prints the grant's member for Terraform.
func DeclareCommand(grant string) string { return ShowCommand(grant) + " -o terraform" }
