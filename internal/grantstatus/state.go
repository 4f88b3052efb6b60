// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// The states of a grant that are no reason of its condition Granted.
const (
	// StateGranted: the member is in the repository's policy.
	StateGranted = "Granted"
	// StateIneffective: it is, and pods cannot pull all the same.
	StateIneffective = "Ineffective"
	// StateApproved: a person has approved it, and the operator has not acted on that yet.
	StateApproved = "Approved"
	// StateRevoking: it is being taken back.
	StateRevoking = "Revoking"
)

// State says in one word where a grant stands, for people: a person's word that
// the operator has still to act on, else what the conditions say.
func State(g *v1alpha1.PullAccessGrant) string {
	switch {
	case g.DeletionTimestamp != nil:
		return StateRevoking
	case Ended(g):
		return whyNot(g)
	case RevokedByPerson(g):
		return StateRevoking
	case awaitsWord(g) && reviewDecision(g) != "":
		return string(reviewDecision(g))
	case Waiting(g):
		return v1alpha1.ReasonWaitingForApproval
	case !Granted(g):
		return whyNot(g)
	case g.Status.Ending != nil:
		return v1alpha1.ReasonRevocationScheduled
	case Ineffective(g):
		return StateIneffective
	default:
		return StateGranted
	}
}

// whyNot is why the member is not in the policy.
func whyNot(g *v1alpha1.PullAccessGrant) string {
	return cmp.Or(Reason(g), v1alpha1.ReasonGranting)
}

// Waiting tells whether the grant may be approved or denied: it waits for a
// person, and none has answered. Whether its time to wait is over is not looked at.
func Waiting(g *v1alpha1.PullAccessGrant) bool {
	return awaitsWord(g) && g.Status.Review == nil && g.DeletionTimestamp == nil
}

// awaitsWord tells whether the operator still takes it to wait.
func awaitsWord(g *v1alpha1.PullAccessGrant) bool {
	approved := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionApproved)
	return approved != nil && approved.Status == metav1.ConditionUnknown &&
		approved.Reason == v1alpha1.ReasonWaitingForApproval && !Ended(g)
}

// reviewDecision is what a person has said of it, "" if nobody has.
func reviewDecision(g *v1alpha1.PullAccessGrant) v1alpha1.ReviewDecision {
	if g.Status.Review == nil {
		return ""
	}
	return g.Status.Review.Decision
}
