// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// Reasons of a refusal by policy, besides v1alpha1.ReasonPolicyGone, ReasonPaused
// and ReasonDryRun; a closed list. A refusal by the diagnosis has the
// diagnosis' own reason.
const (
	ReasonNoPolicy                     = "NoPolicy"
	ReasonNamespaceNotSelected         = "NamespaceNotSelected"
	ReasonPodNotSelected               = "PodNotSelected"
	ReasonRepositoryNotListed          = "RepositoryNotListed"
	ReasonServiceAccountNotListed      = "ServiceAccountNotListed"
	ReasonComputeDefaultServiceAccount = "ComputeDefaultServiceAccount"
	ReasonVirtualRepository            = "VirtualRepository"
)

// Reasons lists the reasons of a refusal by policy.
func Reasons() []string {
	return []string{
		ReasonNoPolicy, ReasonNamespaceNotSelected, ReasonPodNotSelected, ReasonRepositoryNotListed, ReasonServiceAccountNotListed,
		ReasonComputeDefaultServiceAccount, ReasonVirtualRepository, v1alpha1.ReasonPolicyGone, v1alpha1.ReasonPaused, v1alpha1.ReasonDryRun,
	}
}

// Refusal says why nothing is granted. It is an outcome, not an error.
type Refusal struct {
	// Reason is one of the constants above or a diagnosis.Reason.
	Reason string
	// Sentence says why, and what to do.
	Sentence string
	// Why is the part of Sentence that is about the policies, "" if none was asked.
	Why string
	// Command is what a person can paste next, "" if none. It never grants what a policy
	// refuses.
	Command string
	// Policy is the policy that came closest to allowing it, "" if none was asked.
	Policy string
	// Field is the one field of Policy that refused.
	Field string
	// Would is what would have been granted but for the mode DryRun, zero otherwise.
	Would v1alpha1.WouldGrant

	// rank is how far Policy came before it refused.
	rank int
}

func withoutPolicy(d diagnosis.Diagnosis) *Refusal {
	why := message.NoPolicy
	if d.Reason == diagnosis.WaitingForPropagation {
		why = message.PodNotCovered
	}
	return &Refusal{Reason: ReasonNoPolicy, Sentence: d.Sentence + " " + why, Why: why, Command: d.Command}
}

// say gives the sentence, and the part of it that is about the policy. What would
// be done but for DryRun needs no word on what is wrong.
func say(policy *v1alpha1.PullAccessPolicy, d diagnosis.Diagnosis, s step) (sentence, why string) {
	switch {
	case d.Reason == diagnosis.WaitingForPropagation:
		why = message.PodNotCovered
	case s.reason == v1alpha1.ReasonDryRun:
		why = message.WouldGrant(d.Facts.Reference.Repository, d.Facts.Puller.Email, policy.Name)
		return why, why
	default:
		why = message.PolicyDenies(policy.Name, s.say, s.field)
	}
	return d.Sentence + " " + why, why
}

// commandAfter returns the command that changes what refused. It never grants the access
// past the policy.
func commandAfter(policy *v1alpha1.PullAccessPolicy, in Input, s step) string {
	switch {
	case !isName(policy.Name):
		return "" // A shell runs the command.
	case s.reason == v1alpha1.ReasonPolicyGone:
		return message.ListPoliciesCommand
	case s.reason == v1alpha1.ReasonPaused:
		return message.ResumeCommand(policy.Name)
	case s.reason == v1alpha1.ReasonDryRun:
		return message.EnforceCommand(policy.Name)
	case s.reason == ReasonNamespaceNotSelected && in.Pod.NamespaceLabelsOmitted && isName(in.Pod.Namespace):
		return message.EditNamespaceCommand(in.Pod.Namespace)
	default:
		return message.EditPolicyCommand(policy.Name)
	}
}

func isName(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// would is what the mode alone has kept from being granted.
func would(s step, d diagnosis.Diagnosis) v1alpha1.WouldGrant {
	if s.reason != v1alpha1.ReasonDryRun || d.Reason == diagnosis.WaitingForPropagation {
		return v1alpha1.WouldGrant{}
	}
	return v1alpha1.WouldGrant{Repository: d.Facts.Reference.Repository.Record(), Member: d.Facts.Puller.Member()}
}
