// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// End records that the grant has come to its end. What the record says of effects
// and restarts stays, for whoever asks later what happened.
func End(g *v1alpha1.PullAccessGrant, reason v1alpha1.EndReason, now time.Time) {
	sentence := endSentence(g, reason)
	switch reason {
	case v1alpha1.EndDenied, v1alpha1.EndLapsed, v1alpha1.EndPolicyChanged:
		set(g, v1alpha1.ConditionApproved, metav1.ConditionFalse, string(reason), sentence)
	default:
	}
	if byPerson(g, reason) {
		noteReview(g, v1alpha1.HistoryEvent(reason), now)
	} else {
		Note(g, v1alpha1.HistoryEvent(reason), sentence, now)
	}
	ended := metav1.NewTime(now)
	g.Status.EndedTime, g.Status.Ending = &ended, nil
	g.Status.GrantedTime, g.Status.EffectiveTime, g.Status.Origin, g.Status.Write = nil, nil, "", nil
	g.Status.Usage, g.Status.RefusedRevocations = v1alpha1.Usage{}, 0
	set(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, string(reason), sentence)
	if meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionEffective) != nil {
		set(g, v1alpha1.ConditionEffective, metav1.ConditionUnknown, string(reason), message.EffectEnded)
	}
	Summarise(g)
}

func byPerson(g *v1alpha1.PullAccessGrant, reason v1alpha1.EndReason) bool {
	return string(wordOn(g)) == string(reason)
}

// Ended tells whether the grant has come to its end, and nobody has asked anew.
func Ended(g *v1alpha1.PullAccessGrant) bool { return g.Status.EndedTime != nil }

// RemovedExternally tells whether it has ended because somebody else took out what
// the operator had added.
func RemovedExternally(g *v1alpha1.PullAccessGrant) bool {
	return Ended(g) && Reason(g) == string(v1alpha1.EndRemovedExternally)
}

// MayReopen tells whether a pod that was made at made may ask anew for what has
// ended. A person's no, and somebody else's, stand until the record is deleted; what
// nobody answered is asked again for a pod that came after.
func MayReopen(g *v1alpha1.PullAccessGrant, made time.Time) bool {
	switch v1alpha1.EndReason(Reason(g)) {
	case v1alpha1.EndExpired, v1alpha1.EndPolicyGone, v1alpha1.EndUnused, v1alpha1.EndPolicyChanged, v1alpha1.EndRemovedByOwner:
		return true
	case v1alpha1.EndLapsed:
		return Ended(g) && !made.Before(g.Status.EndedTime.Time.Truncate(time.Second)) // Pods bear whole seconds.
	default:
		return false
	}
}

// Reopen records that a pod asks anew, under the policy that allows it now. Its
// workloads begin anew with it: what was restarted before is no measure for what
// follows, and whoever still cannot pull joins again.
func Reopen(g *v1alpha1.PullAccessGrant, w v1alpha1.Workload, policy string, now time.Time) {
	asked := metav1.NewTime(now)
	g.Status.EndedTime, g.Status.RequestedTime, g.Status.Policy = nil, &asked, policy
	g.Status.Proposal, g.Status.Review = nil, nil
	g.Status.Workloads, g.Status.RecoveredWorkloads = nil, 0
	meta.RemoveStatusCondition(&g.Status.Conditions, v1alpha1.ConditionApproved)
	set(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonGranting, message.RequestedAgain)
	Note(g, v1alpha1.HistoryRequested, message.Requested(w.Kind, w.Namespace, w.Name, policy), now)
	Join(g, w, policy, now)
	Summarise(g)
}

// Stays tells whether the member is left in the repository's policy when the grant
// ends: it is not the operator's, or may be needed by clusters that are not seen from here.
func Stays(g *v1alpha1.PullAccessGrant) bool {
	return g.Status.Origin != v1alpha1.OriginAdded || g.Status.Lifetime.AccountsUsedBy == v1alpha1.UsedBySeveralClusters
}

// endSentence says why the grant ends, what becomes of the member, and what follows.
// It is asked before the end is recorded.
func endSentence(g *v1alpha1.PullAccessGrant, reason v1alpha1.EndReason) string {
	switch reason {
	case v1alpha1.EndExpired:
		return message.GrantExpired(Fate(g))
	case v1alpha1.EndPolicyGone:
		return message.GrantWithoutPolicy(Fate(g))
	case v1alpha1.EndUnused:
		return message.GrantUnused(Fate(g))
	case v1alpha1.EndRevoked:
		return message.GrantRevoked(said(g, v1alpha1.ReviewRevoked), Fate(g), g.Name)
	case v1alpha1.EndRemovedExternally:
		return message.RemovedExternally(g.Name)
	case v1alpha1.EndRemovedByOwner:
		return message.RemovedByOwner
	case v1alpha1.EndDenied:
		return message.GrantDenied(said(g, v1alpha1.ReviewDenied), g.Name)
	case v1alpha1.EndLapsed:
		return message.ProposalLapsed
	case v1alpha1.EndPolicyChanged:
		return message.PolicyChanged(PolicyName(g))
	default:
		return message.GrantEnded
	}
}

// Fate is what becomes of the member in the cloud, to go on a sentence.
func Fate(g *v1alpha1.PullAccessGrant) string {
	switch {
	case g.Status.Origin == "":
		return message.NothingWritten
	case g.Status.Origin != v1alpha1.OriginAdded:
		return message.MemberNotOurs
	case Stays(g):
		return message.MemberKeptForOthers(RemoveCommand(g))
	default:
		return message.MemberRemoved
	}
}

// RemoveCommand takes the member out by hand. All that it names was checked by the
// kind's schema or came from Google.
func RemoveCommand(g *v1alpha1.PullAccessGrant) string {
	return message.RemoveCommand(imageref.Of(g.Spec.Repository), g.Spec.Member)
}

// Reason is that of the condition Granted, "" if nothing was recorded yet.
func Reason(g *v1alpha1.PullAccessGrant) string {
	if granted := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionGranted); granted != nil {
		return granted.Reason
	}
	return ""
}

// Why is what the condition Granted says beside its reason, in one sentence.
func Why(g *v1alpha1.PullAccessGrant) string {
	if granted := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionGranted); granted != nil {
		return granted.Message
	}
	return ""
}

// Announce records that the grant is going to end, or with nil that it is not.
func Announce(g *v1alpha1.PullAccessGrant, end *v1alpha1.Ending, now time.Time) {
	switch {
	case end != nil && (g.Status.Ending == nil || *g.Status.Ending != *end):
		Note(g, v1alpha1.HistoryRevocationScheduled, scheduled(end), now)
	case end == nil && g.Status.Ending != nil:
		Note(g, v1alpha1.HistoryRevocationCancelled, message.RevocationCancelled, now)
	}
	g.Status.Ending = end
	Summarise(g)
}

// DelayRevocation records that a limit holds back the scheduled revocation until then.
func DelayRevocation(g *v1alpha1.PullAccessGrant, until metav1.Time) {
	if g.Status.Ending != nil {
		g.Status.Ending.LimitedUntilTime = &until
		Summarise(g)
	}
}

// EndingSentence says when and why the operator is going to revoke the grant, and how to
// prevent it.
func EndingSentence(g *v1alpha1.PullAccessGrant) string {
	if end := g.Status.Ending; end.LimitedUntilTime != nil {
		return message.RevocationLimited(g.Name, PolicyName(g), MaxRevocations(g), end.LimitedUntilTime.Time)
	}
	return scheduled(g.Status.Ending)
}

func scheduled(end *v1alpha1.Ending) string {
	at := end.DueTime.Time
	switch end.Reason {
	case v1alpha1.EndExpired:
		return message.ExpiryScheduled(at)
	case v1alpha1.EndUnused:
		return message.DisuseScheduled(at)
	default:
		return message.PolicyGoneScheduled(at)
	}
}
