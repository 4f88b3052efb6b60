// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"cmp"
	"encoding/json"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// PolicyName is the policy under which the grant is asked for now.
func PolicyName(g *v1alpha1.PullAccessGrant) string { return cmp.Or(g.Status.Policy, g.Spec.Policy) }

// AskedTime is when the grant was last asked for.
func AskedTime(g *v1alpha1.PullAccessGrant) time.Time {
	if g.Status.RequestedTime != nil {
		return g.Status.RequestedTime.Time
	}
	return g.CreationTimestamp.Time
}

// WrittenTime is when the grant can have been in the repository's policy at the
// earliest; when it was asked for, if it was found there.
func WrittenTime(g *v1alpha1.PullAccessGrant) time.Time {
	if g.Status.Write != nil {
		return g.Status.Write.IntentTime.Time
	}
	return AskedTime(g)
}

// Leave says whether what a policy permits may be written without further ado. The
// zero value says no: a person has to be asked.
type Leave int

const (
	// LeaveToAsk: it has to be proposed to a person first.
	LeaveToAsk Leave = iota
	// LeavePending: it was proposed, and nobody has answered.
	LeavePending
	// LeaveGiven: it may be written.
	LeaveGiven
	// LeaveRefused: it ends, for the reason that goes with it.
	LeaveRefused
)

// LeaveOf judges a request that policy permits. A proposal counts for the policy
// that it was made under and for no other: whoever approved, approved that one.
func LeaveOf(g *v1alpha1.PullAccessGrant, policy *v1alpha1.PullAccessPolicy, now time.Time) (Leave, v1alpha1.EndReason) {
	proposal, review := g.Status.Proposal, g.Status.Review
	switch {
	case proposal != nil && (proposal.PolicyUID != policy.UID || proposal.PolicyGeneration != policy.Generation):
		return LeaveRefused, v1alpha1.EndPolicyChanged
	case policy.Spec.Mode == v1alpha1.ModeEnforce:
		return LeaveGiven, ""
	case policy.Spec.Mode != v1alpha1.ModeApprove || proposal == nil:
		return LeaveToAsk, ""
	case review == nil && now.Before(proposal.LapseTime.Time):
		return LeavePending, ""
	case review == nil || reviewedAt(g, now).After(proposal.LapseTime.Time):
		return LeaveRefused, v1alpha1.EndLapsed
	case review.Decision == v1alpha1.ReviewApproved:
		return LeaveGiven, ""
	default:
		return LeaveRefused, v1alpha1.EndDenied
	}
}

// reviewedAt is when a person answered, as far as that is known; no later than now.
func reviewedAt(g *v1alpha1.PullAccessGrant, now time.Time) time.Time {
	if at := reviewTime(g); !at.IsZero() {
		return at
	}
	return now
}

// reviewTime is when the API server took the review, by its own clock; zero if it
// does not tell. What a client claims does not count.
func reviewTime(g *v1alpha1.PullAccessGrant) time.Time {
	var last time.Time
	for _, entry := range g.ManagedFields {
		var owned struct {
			Status struct {
				Review json.RawMessage `json:"f:review"`
			} `json:"f:status"`
		}
		if entry.Subresource != "status" || entry.FieldsV1 == nil || entry.Time == nil {
			continue
		}
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned); err == nil && owned.Status.Review != nil && entry.Time.After(last) {
			last = entry.Time.Time
		}
	}
	return last
}

// RevokedByPerson tells whether a person has taken it back.
func RevokedByPerson(g *v1alpha1.PullAccessGrant) bool {
	return reviewDecision(g) == v1alpha1.ReviewRevoked
}

// ApprovedByPerson tells whether a person has approved what was written.
func ApprovedByPerson(g *v1alpha1.PullAccessGrant) bool {
	return reviewDecision(g) == v1alpha1.ReviewApproved
}

// Propose records that the grant waits for a person, under policy as it is now.
func Propose(g *v1alpha1.PullAccessGrant, policy *v1alpha1.PullAccessPolicy, now time.Time) {
	timeout := v1alpha1.DefaultApprovalTimeout
	if policy.Spec.Approval.Timeout != nil {
		timeout = policy.Spec.Approval.Timeout.Duration
	}
	g.Status.Proposal = &v1alpha1.Proposal{
		PolicyUID: policy.UID, PolicyGeneration: policy.Generation, LapseTime: metav1.NewTime(now.Add(timeout).Truncate(time.Second)),
	}
	g.Status.Review = nil
	Join(g, g.Spec.Workload, PolicyName(g), now)
	Pend(g)
	Note(g, v1alpha1.HistoryProposed, message.Proposed(policy.Name, g.Status.Proposal.LapseTime.Time), now)
}

// AwaitDemand records that no pod needs the grant now. It changes nothing a second time.
func AwaitDemand(g *v1alpha1.PullAccessGrant) {
	set(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonNotRequested, message.NotRequested)
	Summarise(g)
}

// Pend records that a proposal waits. It changes nothing a second time.
func Pend(g *v1alpha1.PullAccessGrant) {
	sentence := ProposalSentence(g)
	set(g, v1alpha1.ConditionApproved, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForApproval, sentence)
	set(g, v1alpha1.ConditionGranted, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForApproval, sentence)
	Summarise(g)
}

// ProposalSentence says what is waited for, and how it is answered.
func ProposalSentence(g *v1alpha1.PullAccessGrant) string {
	return message.WaitingForReview(g.Name, g.Status.Proposal.LapseTime.Time)
}

// Approve records that a person has approved it. It changes nothing a second time.
func Approve(g *v1alpha1.PullAccessGrant, now time.Time) {
	if !ApprovedByPerson(g) || meta.IsStatusConditionTrue(g.Status.Conditions, v1alpha1.ConditionApproved) {
		return
	}
	noteReview(g, v1alpha1.HistoryApproved, now)
	setApproved(g)
	set(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonGranting, message.Approved)
	Summarise(g)
}

// setApproved says who has allowed it.
func setApproved(g *v1alpha1.PullAccessGrant) {
	if ApprovedByPerson(g) {
		set(g, v1alpha1.ConditionApproved, metav1.ConditionTrue, v1alpha1.ReasonApproved, said(g, v1alpha1.ReviewApproved))
		return
	}
	set(g, v1alpha1.ConditionApproved, metav1.ConditionTrue, v1alpha1.ReasonPolicyEnforces, message.PolicyEnforces(PolicyName(g)))
}

// said repeats a person's word: what was done, by whom, and why.
func said(g *v1alpha1.PullAccessGrant, decision v1alpha1.ReviewDecision) string {
	if g.Status.Review == nil {
		return message.ReviewedByUnknown(decision)
	}
	return message.Reviewed(decision, g.Status.Review.User, g.Status.Review.Reason)
}
