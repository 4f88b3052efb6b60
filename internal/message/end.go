// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"time"
)

const (
	// GrantEnded says that a grant has ended, for a reason without its own sentence.
	GrantEnded = "It has ended."
	// EffectEnded says that the grant has no effect, because it has ended.
	EffectEnded = "The grant has ended."
	// RemovedByOwner says that somebody removed a member that the operator did not add.
	RemovedByOwner = "The member had been there before, and whoever had added it took it out." + mayBeRequested
	// ProposalLapsed says that nobody reviewed the grant in time.
	ProposalLapsed = "Nobody has answered in time, and nothing was written. A pod that is made from now on asks anew."
	// RevocationCancelled is the history's entry for a revocation that is not due any more.
	RevocationCancelled = "What was announced is called off."
)

// mayBeRequested says that a pod may request the grant again.
const mayBeRequested = " While a policy allows it, a pod that cannot pull asks anew."

// mustBeDeleted says that no pod may request the grant again.
func mustBeDeleted(grant string) string {
	return fmt.Sprintf(" It is not asked for again until the record is deleted (kubectl delete pullaccessgrant %s).", grant)
}

// GrantExpired says that the lifetime of the grant is over. In this and the following
// functions, member is one of the clauses of member.go.
func GrantExpired(member string) string {
	return "The grant's time was over; " + member + mayBeRequested
}

// GrantWithoutPolicy says that no policy names the grant's repository and account.
func GrantWithoutPolicy(member string) string {
	return "No PullAccessPolicy names the repository and the account any more; " + member + mayBeRequested
}

// GrantUnused says that no workload uses the grant.
func GrantUnused(member string) string {
	return "Nothing in the cluster has used it for long enough; " + member + mayBeRequested
}

// GrantRevoked says that a reviewer revoked the grant. review is a sentence of review.go.
func GrantRevoked(review, member, grant string) string {
	return review + " As to the cloud, " + member + mustBeDeleted(grant)
}

// GrantDenied says that a reviewer denied the grant. review is a sentence of review.go.
func GrantDenied(review, grant string) string {
	return review + " Nothing was written." + mustBeDeleted(grant)
}

// RemovedExternally says that somebody removed the member that the operator had added.
func RemovedExternally(grant string) string {
	return "The operator had added the member, and somebody else took it out, most likely what keeps the whole policy (Terraform's iam_policy or iam_binding, Config Connector's IAMPolicy). " +
		"The operator does not put it back: declare it there, as " + ShowCommand(grant) + " -o terraform (or config-connector, crossplane, gcloud) shows." + mustBeDeleted(grant)
}

// PolicyChanged says that the policy changed while the grant waited for a review.
func PolicyChanged(policy string) string {
	return fmt.Sprintf("Policy %s is not the one any more under which a person was asked, so that counts no longer, and nothing was written.", policy) + mayBeRequested
}

// Renewed is the history's entry for a grant that gets its lifetime again.
func Renewed(expireTime time.Time) string {
	return "It is in use; it now expires at " + stamp(expireTime) + "."
}

// ExpiryScheduled says that the lifetime of the grant is over at dueTime.
func ExpiryScheduled(dueTime time.Time) string {
	return fmt.Sprintf("The grant's time is over at %s, and it ends then.", stamp(dueTime))
}

// DisuseScheduled says that the operator revokes the unused grant at dueTime.
func DisuseScheduled(dueTime time.Time) string {
	return fmt.Sprintf("Nothing in the cluster uses it; it ends at %s or soon after, unless something does by then.", stamp(dueTime))
}

// PolicyGoneScheduled says that the operator revokes the grant at dueTime, because no
// policy names it.
func PolicyGoneScheduled(dueTime time.Time) string {
	return fmt.Sprintf("No PullAccessPolicy names the repository and the account any more; it ends at %s unless one does by then.", stamp(dueTime))
}
