// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explanation

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/message"
)

const (
	requested   = ReasonAccessRequested
	denied      = string(v1alpha1.EndDenied)
	lapsed      = string(v1alpha1.EndLapsed)
	removed     = string(v1alpha1.EndRemovedExternally)
	waits       = v1alpha1.ReasonWaitingForApproval
	propagating = v1alpha1.ReasonWaitingForPropagation
	blocked     = v1alpha1.ReasonAlreadyGranted
)

// reasonOfRecord returns the reason that the record gives for the failure, "" if the
// failure has another cause than missing access or if the record does not settle it.
func reasonOfRecord(in Input) string {
	d, g := in.Diagnosis, in.Record
	switch {
	case g == nil && in.Grant != nil && d.Reason == diagnosis.AccessMissing:
		return requestOf(in.Grant)
	case g == nil:
		return ""
	case d.Reason == diagnosis.RemovedExternally:
		return removed
	case d.Reason == diagnosis.AlreadyGranted:
		return reasonDespiteAccess(g)
	case isUnread(d.Reason) && grantstatus.MayReopen(g, in.Created):
		return "" // A new request needs the facts.
	case d.Reason == diagnosis.AccessMissing, d.Reason == diagnosis.WaitingForPropagation, d.Reason == notAsked, isUnread(d.Reason):
		return reasonOfState(in)
	default:
		return ""
	}
}

// notAsked is the reason of a denied pull whose facts were not read at all.
const notAsked = diagnosis.Reason("PermissionDenied")

// isUnread reports whether a decisive fact could not be read.
func isUnread(reason diagnosis.Reason) bool {
	switch reason {
	case diagnosis.PullerUnknown, diagnosis.RepositoryUnreadable, diagnosis.AccessUnreadable:
		return true
	default:
		return false
	}
}

// reasonDespiteAccess is for an account that has access and fails all the same.
func reasonDespiteAccess(g *v1alpha1.PullAccessGrant) string {
	if g.DeletionTimestamp != nil {
		return ""
	}
	switch grantstatus.State(g) {
	case grantstatus.StateGranted, v1alpha1.ReasonRevocationScheduled:
		return blocked
	case grantstatus.StateIneffective:
		return v1alpha1.ReasonIneffective
	case grantstatus.StateRevoking:
		return grantstatus.StateRevoking
	default:
		return "" // Somebody else granted the access.
	}
}

func reasonOfState(in Input) string {
	g := in.Record
	if renewed(in) {
		return requestOf(in.Grant)
	}
	switch state := grantstatus.State(g); {
	case grantstatus.MayReopen(g, in.Created) && in.Refusal != nil && in.Refusal.Policy != "":
		return "" // A policy denies the next request.
	case state == waits && isOverdue(in):
		return lapsed
	case state == v1alpha1.ReasonGranting:
		return reasonOfRequest(in)
	case state == grantstatus.StateGranted, state == v1alpha1.ReasonRevocationScheduled:
		if in.Diagnosis.Reason != diagnosis.WaitingForPropagation && grantstatus.Propagated(g, in.Now) {
			return blocked
		}
		return propagating
	default:
		return state
	}
}

// isOverdue reports whether the time for a review is over.
func isOverdue(in Input) bool {
	proposal := in.Record.Status.Proposal
	return proposal != nil && !in.Now.Before(proposal.LapseTime.Time)
}

// renewed reports whether the operator makes a new request of the record.
func renewed(in Input) bool {
	g := in.Record
	switch {
	case in.Grant == nil || in.Diagnosis.Reason != diagnosis.AccessMissing || g.DeletionTimestamp != nil:
		return false
	case grantstatus.Waiting(g):
		// Another policy allows it without a review.
		return in.Grant.Mode() == v1alpha1.ModeEnforce && grantstatus.PolicyName(g) != in.Grant.Policy()
	case grantstatus.Granted(g):
		// The member was there before, and its owner removed it.
		return g.Status.Origin == v1alpha1.OriginFound && !grantstatus.RevokedByPerson(g)
	default:
		return grantstatus.MayReopen(g, in.Created)
	}
}

// reasonOfRequest is for a request that the operator has not carried out.
func reasonOfRequest(in Input) string {
	switch g := in.Record; {
	case grantstatus.ApprovedByPerson(g):
		return grantstatus.StateApproved
	case g.Status.Proposal == nil && g.Status.Write == nil:
		return requestOf(in.Grant)
	default:
		return requested
	}
}

// ofRecord explains the failure by the record, or by the request that the decision allows.
func ofRecord(in Input, reason string) Explanation {
	s := subjectOf(in)
	e := Explanation{Reason: reason, Help: diagnosis.HelpYes, Actor: diagnosis.PlatformTeam, Sentence: s.sentence(in, reason), Page: page(reason)}
	if a, ok := answers[reason]; ok {
		e.Help, e.Actor = a.help, a.actor
		e.NextStep = a.next(s)
	} else {
		e.NextStep = show(s)
	}
	if reason == propagating && in.Refusal != nil {
		e.Actor = diagnosis.Nobody
	}
	return e
}

// subject is what a grant is about, from its record or from the decision.
type subject struct {
	repository             imageref.Repository
	account, policy, grant string
	// review is the sentence about the review, "" if none exists.
	review string
}

func subjectOf(in Input) subject {
	var s subject
	var member string
	if g := in.Record; g != nil {
		s.repository, member, s.grant, s.policy = imageref.Of(g.Spec.Repository), g.Spec.Member, g.Name, grantstatus.PolicyName(g)
		if review := g.Status.Review; review != nil {
			s.review = message.Reviewed(review.Decision, review.User, review.Reason)
		}
	}
	if g := in.Grant; g != nil && (in.Record == nil || s.policy == "" || renewed(in)) {
		s.repository, member, s.grant, s.policy = g.Repository(), g.Member(), g.Name(), g.Policy()
	}
	s.account, _ = v1alpha1.EmailOf(member)
	return s
}

// sentence returns the sentence for the reason. What the operator has recorded stays as it
// is in the record.
func (s subject) sentence(in Input, reason string) string {
	g := in.Record
	switch reason {
	case requested:
		return message.AccessRequested(s.repository, s.account, s.policy)
	case waits:
		return message.WaitingForApproval(s.repository, s.account, s.policy)
	case grantstatus.StateApproved:
		return message.AccessApproved(s.review, s.repository, s.account)
	case grantstatus.StateRevoking:
		return message.AccessRevoking(s.revocation(g), s.repository, s.account)
	case propagating:
		return message.WaitingForAccess(s.repository, s.account) + notCovered(in)
	case blocked:
		return message.AccessBlocked(s.repository, s.account, s.grant)
	case removed:
		return message.RemovedExternally(s.grant)
	case v1alpha1.ReasonIneffective:
		if effective := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionEffective); effective != nil {
			return effective.Message
		}
	case denied:
		if !grantstatus.Ended(g) {
			return message.GrantDenied(s.review, s.grant)
		}
	case lapsed:
		return message.ProposalLapsed
	}
	return grantstatus.Why(g)
}

// revocation is the review that revokes the grant, "" if somebody deleted the grant.
func (s subject) revocation(g *v1alpha1.PullAccessGrant) string {
	if !grantstatus.RevokedByPerson(g) {
		return ""
	}
	return s.review
}
