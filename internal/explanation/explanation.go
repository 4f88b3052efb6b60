// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package explanation turns what is known of one failure into the one answer that users
// read: a reason, a sentence and a next step. The operator's Events and the command line
// both call it, so they give the same answer for the same facts.
//
// It comes after the decision and the record, and is pure. It decides and grants nothing.
package explanation

import (
	"time"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// Input is what is known of one failure. The zero Input explains that nothing fails.
type Input struct {
	Diagnosis diagnosis.Diagnosis
	// Grant and Refusal are the outcome of the decision. Both are nil if the policies were
	// not read, or if a grant cannot help.
	Grant   *decision.Grant
	Refusal *decision.Refusal
	// Record is the PullAccessGrant for the repository and the account, nil if none exists.
	Record *v1alpha1.PullAccessGrant
	// Created is when the pod was created.
	Created time.Time
	Now     time.Time
}

// Explanation is the answer that users read.
type Explanation struct {
	// Reason is one of Reasons, or a reason of the record that is newer than this package.
	Reason string
	Help   diagnosis.Help
	Actor  diagnosis.Actor
	// Sentence is one or more sentences: the cause, the consequence and what to do.
	Sentence string
	// NextStep is the command to run next, "" if none. It never bypasses a refusal.
	NextStep string
	// Page documents the Reason.
	Page string
}

// ReasonAccessRequested is the reason of a failure for which the operator requests access.
const ReasonAccessRequested = "AccessRequested"

// Of explains the failure: by the record, else by the policy that denies, else by the
// diagnosis.
func Of(in Input) Explanation {
	if reason := reasonOfRecord(in); reason != "" {
		return ofRecord(in, reason)
	}
	if in.Refusal != nil && in.Diagnosis.Help == diagnosis.HelpYes {
		return ofRefusal(in)
	}
	return ofDiagnosis(in)
}

// ofRefusal explains a denial by the policies.
func ofRefusal(in Input) Explanation {
	if in.Diagnosis.Reason == diagnosis.WaitingForPropagation {
		e := ofDiagnosis(in)
		e.Sentence += " " + in.Refusal.Why
		return e
	}
	return Explanation{
		Reason: in.Refusal.Reason, Help: in.Diagnosis.Help, Actor: diagnosis.PlatformTeam,
		Sentence: in.Refusal.Sentence, NextStep: in.Refusal.Command, Page: page(in.Refusal.Reason),
	}
}

// ofDiagnosis explains a failure by its diagnosis alone. If no policy is known to allow a
// grant that helps, nobody can expect the operator to act.
func ofDiagnosis(in Input) Explanation {
	d := in.Diagnosis
	e := Explanation{
		Reason: string(d.Reason), Help: d.Help, Actor: d.Actor, Sentence: d.Sentence, NextStep: d.Command, Page: d.Reason.Page(),
	}
	switch {
	case d.Help != diagnosis.HelpYes || in.Grant != nil:
	case d.Reason == diagnosis.WaitingForPropagation:
		e.Actor = diagnosis.Nobody
	default:
		e.Actor = diagnosis.PlatformTeam
	}
	return e
}

// Progresses reports whether the failure ends without further action by the pod's owner.
func (e Explanation) Progresses() bool {
	switch e.Reason {
	case ReasonAccessRequested, v1alpha1.ReasonWaitingForApproval, v1alpha1.ReasonApproved, v1alpha1.ReasonWaitingForPropagation:
		return true
	default:
		return false
	}
}

// Key is equal for two explanations that tell users the same. It leaves out what changes
// with every attempt: the time at which a limit resets, and the identifier of a denial.
func (e Explanation) Key() string {
	if isLimit(e.Reason) {
		return e.Reason
	}
	return e.Reason + " " + diagnosis.WithoutNote(e.Sentence)
}

func page(reason string) string { return diagnosis.Reason(reason).Page() }

// requestOf returns the reason for a failure for which the decision allows a grant.
func requestOf(g *decision.Grant) string {
	if g != nil && g.Mode() == v1alpha1.ModeApprove {
		return v1alpha1.ReasonWaitingForApproval
	}
	return ReasonAccessRequested
}

// notCovered is the sentence that follows if access was granted and no policy covers the pod.
func notCovered(in Input) string {
	if in.Refusal == nil {
		return ""
	}
	return " " + message.PodNotCovered
}
