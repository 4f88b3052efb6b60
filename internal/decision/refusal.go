// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

// Reasons of a refusal by policy, a closed list. A refusal by the diagnosis has
// the diagnosis' own reason.
const (
	ReasonNoPolicy                     = "NoPolicy"
	ReasonPolicyGone                   = "PolicyGone"
	ReasonNamespaceNotSelected         = "NamespaceNotSelected"
	ReasonPodNotSelected               = "PodNotSelected"
	ReasonRepositoryNotListed          = "RepositoryNotListed"
	ReasonServiceAccountNotListed      = "ServiceAccountNotListed"
	ReasonComputeDefaultServiceAccount = "ComputeDefaultServiceAccount"
	ReasonVirtualRepository            = "VirtualRepository"
	ReasonDryRun                       = "DryRun"
)

// Refusal says why nothing is granted. It is an outcome, not an error.
type Refusal struct {
	// Reason is one of the constants above or a diagnosis.Reason.
	Reason string
	// Sentence says why, and what to do.
	Sentence string
	// Command is what a person can paste next, "" if none.
	Command string
	// Policy is the policy that came closest to allowing it, "" if none was asked.
	Policy string
	// Field is the one field of Policy that refused.
	Field string

	// step is how many steps of the judgement Policy came to.
	step int
}
