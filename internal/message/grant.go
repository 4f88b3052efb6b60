// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	// NotWritten says that the operator has done nothing for the grant yet.
	NotWritten = "The grant has not been written yet."
	// AddingMember says that the operator is about to write the IAM policy.
	AddingMember = "The member is being added to the repository's policy."
	// MemberAdded says that the operator wrote the IAM policy.
	MemberAdded = "The operator added the member to the repository's policy."
	// MemberFound says that the member had access before.
	MemberFound = "The member was in the repository's policy already; the operator changed nothing and will take nothing back."
	// WaitingForPropagation says that no pull has worked since the grant.
	WaitingForPropagation = "No pull has been seen to work yet; IAM typically needs 2 minutes, at times 7, to spread a change."
	// PullWorked says that the grant is effective.
	PullWorked = "A pull was seen to work after the grant."
	// RequestedAgain says that a pod needs a grant that had ended.
	RequestedAgain = "A pod has asked anew for what had ended."
	// NotPermitted says that no policy allows the grant any more.
	NotPermitted = "No PullAccessPolicy that is in force allows this grant, so it is not written; delete it, or let a policy allow it."
	// NotRequested says that the operator waits for a pod that needs the grant.
	NotRequested = "No failing pod needs this grant now, so the operator does not write it. It writes the grant when a pod needs it, " +
		"and ends it as NotNeeded after 15 minutes without one."
	// NotNeeded says why a grant ended that was never written.
	NotNeeded = "No failing pod needed this grant for 15 minutes, so nothing was written. The operator requests it again when a pod needs it."
	// NoNamespaceSelected says that the policy selects no namespace that needs the grant.
	NoNamespaceSelected = "Field spec.namespaceSelector of the PullAccessPolicy selects none of the namespaces that need this grant, so the " +
		"operator does not write it. Label the namespace, or change the selector."
	// WrongName says that the operator did not create the grant.
	WrongName = "The grant's name is not that of its repository and member, so the operator did not make it; delete it."
)

// MemberWritten is the history's entry for a write of the IAM policy.
func MemberWritten(etagBefore, etagAfter, requestReason string) string {
	return fmt.Sprintf("Etag before %s, after %s; request reason: %s.", etagBefore, etagAfter, requestReason)
}

// Requested is the history's entry for a pod that needs a grant that had ended.
func Requested(kind, namespace, name, policy string) string {
	return fmt.Sprintf("For %s %s/%s, under policy %s.", kind, namespace, name, policy)
}

// RequestReason is the reason that Cloud Audit Logs keep with a write of the IAM policy:
// the grants that it is for.
func RequestReason(grants ...string) string {
	return "pull-access-operator: PullAccessGrant " + strings.Join(grants, ", ")
}

// BoundedRequestReason is RequestReason in at most limit bytes.
func BoundedRequestReason(limit int, grants ...string) string {
	reason := RequestReason(grants...)
	if more := fmt.Sprintf(" and more, %d in all", len(grants)); len(reason) > limit {
		reason = reason[:limit-len(more)] + more
	}
	return reason
}

// Ineffective says that pods cannot pull although access was granted. unknowns are the
// facts that the diagnosis lacked.
func Ineffective(unknowns []string) string {
	text := "Pods still cannot pull after all attempts; look for a deny policy, a principal access boundary, VPC Service Controls or a download rule that blocks the account."
	if len(unknowns) > 0 {
		text += " Not known when it was granted: " + strings.Join(unknowns, "; ") + "."
	}
	return text
}

// RevokeByHand follows the sentence of a denied revocation, and says how to revoke the
// access without the operator.
func RevokeByHand(denials int32, command string) string {
	return fmt.Sprintf(" That was refused %d times. It can be done by hand (%s).", denials, command)
}

// RemoveFinalizer follows RevokeByHand, and says how to delete the grant afterwards.
func RemoveFinalizer(grant string) string {
	return fmt.Sprintf(` Then let the record go (kubectl patch pullaccessgrant %s --type=merge --patch='{"metadata":{"finalizers":null}}').`, grant)
}

// RemoveCommand is the command that revokes the member's access by hand.
func RemoveCommand(repository imageref.Repository, member string) string {
	return fmt.Sprintf("gcloud artifacts repositories remove-iam-policy-binding %s --project=%s --location=%s --role=roles/artifactregistry.reader --member=%s",
		repository.Name, repository.Project, repository.Location, member)
}
