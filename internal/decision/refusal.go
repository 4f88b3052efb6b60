// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"fmt"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
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

// Refusal says why nothing is granted. It is an outcome, not an error.
type Refusal struct {
	// Reason is one of the constants above or a diagnosis.Reason.
	Reason string
	// Sentence says why, and what to do.
	Sentence string
	// Why is the part of Sentence that is about the policies, "" if none was asked.
	Why string
	// Command is what a person can paste next, "" if none.
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
	why := "No PullAccessPolicy allows the operator to grant it; make one, or grant it by hand."
	if d.Reason == diagnosis.WaitingForPropagation {
		why = notCovered
	}
	return &Refusal{Reason: ReasonNoPolicy, Sentence: d.Sentence + " " + why, Why: why, Command: d.Command}
}

// notCovered is for a pod whose access was granted for the sake of others.
const notCovered = "No PullAccessPolicy in mode Enforce or Approve covers this pod, so its workload is not restarted; the kubelet pulls by itself once the access works."

// say gives the sentence, and the part of it that is about the policy. What would
// be done but for DryRun needs no word on what is wrong.
func say(policy *v1alpha1.PullAccessPolicy, d diagnosis.Diagnosis, s step) (sentence, why string) {
	switch {
	case d.Reason == diagnosis.WaitingForPropagation:
		why = notCovered
	case s.reason == v1alpha1.ReasonDryRun:
		why = fmt.Sprintf("Would grant service account %s read access to repository %s, but policy %s is in mode DryRun; set its spec.mode to Enforce, or Approve, to have it done.",
			d.Facts.Puller.Email, d.Facts.Reference.Repository, policy.Name)
		return why, why
	default:
		why = fmt.Sprintf("Policy %s does not allow the grant: %s (%s).", policy.Name, s.say, s.field)
	}
	return d.Sentence + " " + why, why
}

// commandAfter offers to grant by hand only what the policy is silent about, not
// what it forbids.
func commandAfter(s step, d diagnosis.Diagnosis) string {
	if s.reason == ReasonComputeDefaultServiceAccount || s.reason == ReasonVirtualRepository {
		return ""
	}
	return d.Command
}

// would is what the mode alone has kept from being granted.
func would(s step, d diagnosis.Diagnosis) v1alpha1.WouldGrant {
	if s.reason != v1alpha1.ReasonDryRun || d.Reason == diagnosis.WaitingForPropagation {
		return v1alpha1.WouldGrant{}
	}
	return v1alpha1.WouldGrant{Repository: d.Facts.Reference.Repository.Record(), Member: d.Facts.Puller.Member()}
}
