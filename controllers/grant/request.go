// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// consider asks once more whether a grant that is not written may be: its record
// may be old, or somebody else's than the operator's.
func (r *Reconciler) consider(ctx context.Context, w *work, g *v1alpha1.PullAccessGrant) error {
	repository := r.Cloud.Repository(ctx, w.repository)
	policy := policyNamed(w.policies, grantstatus.PolicyName(g))
	permitted := policy != nil && decision.Permits(policy, w.repository, diagnosis.IsVirtual(repository), g.Spec.Member)
	switch {
	case grantstatus.RevokedByPerson(g):
		w.close(g, v1alpha1.EndRevoked)
	case grantstatus.Refused(g) != "":
		w.close(g, grantstatus.Refused(g))
	case g.Name != decision.GrantName(w.repository, g.Spec.Member):
		w.void[g] = refusal{v1alpha1.ReasonWriteRefused, metav1.ConditionFalse, message.WrongName}
	case !iampolicy.IsServiceAccountMember(g.Spec.Member):
		w.void[g] = describe(iampolicy.ErrMember, w.repository)
	case !permitted && g.Status.Proposal != nil:
		w.close(g, v1alpha1.EndPolicyChanged)
	case !permitted:
		w.refuse(g, policyGone)
	case !r.needed(w, g, policy):
		r.considerAbsence(w, g)
	case !diagnosis.Openable(repository):
		w.void[g] = unreadable(w.repository, repository)
	default:
		return r.considerLeave(ctx, w, g, policy)
	}
	return nil
}

// considerLeave evaluates whether the grant needs a review, or has one. A review that is
// pending stays so, also while the policy selects no namespace that needs the grant.
func (r *Reconciler) considerLeave(ctx context.Context, w *work, g *v1alpha1.PullAccessGrant, policy *v1alpha1.PullAccessPolicy) error {
	now := r.Clock.Now()
	leave, end := grantstatus.LeaveOf(g, policy, now)
	selected, err := r.selectsNamespace(ctx, policy, g)
	if err != nil {
		return err
	}
	switch {
	case !selected && (leave == grantstatus.LeaveGiven || leave == grantstatus.LeaveToAsk):
		w.refuse(g, notSelected)
	case leave == grantstatus.LeaveGiven:
		if grantstatus.ApprovedByPerson(g) {
			w.change(g, func() { grantstatus.Approve(g, now) }, nil)
		}
		w.add = append(w.add, g)
	case leave == grantstatus.LeaveRefused:
		w.close(g, end)
	case w.interrupted[g.Name]:
		w.refuse(g, policyGone) // What was begun without leave is undone before anybody is asked.
	case leave == grantstatus.LeavePending:
		w.change(g, func() { grantstatus.Pend(g) }, nil) // Its repository may have been unreadable in between.
		w.wake(g.Status.Proposal.LapseTime.Time)
	default:
		w.change(g, func() {
			grantstatus.Propose(g, policy, now)
			w.wake(g.Status.Proposal.LapseTime.Time)
		}, func() {
			events.ApprovalAsked(r.Recorder, g, policy, grantstatus.ProposalSentence(g))
			events.ApprovalAsked(r.Recorder, policy, g, grantstatus.ProposalSentence(g))
		})
	}
	return nil
}

// notSelected is the outcome for a grant that no selected namespace needs.
var notSelected = refusal{v1alpha1.ReasonPolicyGone, metav1.ConditionFalse, message.NoNamespaceSelected}

var policyGone = refusal{v1alpha1.ReasonPolicyGone, metav1.ConditionFalse, message.NotPermitted}
