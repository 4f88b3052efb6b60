// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package grantstatus keeps the record: how the status of a PullAccessGrant changes
// as the grant goes its way, and what that comes to for whoever reads it.
//
// It is pure. The controllers call it on a copy and write the difference.
package grantstatus

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// MaxWorkloads is how many workloads one grant lists, as the kind's schema has it.
const MaxWorkloads = 128

// Granted reports whether the member is in the IAM policy as far as the record says. The
// status of another object does not count.
func Granted(g *v1alpha1.PullAccessGrant) bool {
	return Bound(g) && meta.IsStatusConditionTrue(g.Status.Conditions, v1alpha1.ConditionGranted)
}

// Effective tells whether a pull was seen to work after the grant.
func Effective(g *v1alpha1.PullAccessGrant) bool { return g.Status.EffectiveTime != nil }

// Intend records that the member is about to be added, or taken out, on top of
// the policy with this etag. It comes before the write. What is added is added
// for the grant's first workload, which so comes to stand on the record.
func Intend(g *v1alpha1.PullAccessGrant, adding bool, etag string, now time.Time) {
	g.Status.Write = &v1alpha1.IAMPolicyWrite{IntentTime: metav1.NewTime(now), EtagBefore: etag}
	if !adding {
		return
	}
	Join(g, g.Spec.Workload, PolicyName(g), now)
	setApproved(g)
	if meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionGranted) == nil {
		set(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonGranting,
			message.AddingMember)
	}
	Summarise(g)
}

// Interrupted tells whether an intent was recorded and its outcome was not: the
// write may or may not have taken effect.
func Interrupted(g *v1alpha1.PullAccessGrant) bool {
	return g.Status.Write != nil && g.Status.Write.EtagAfter == ""
}

// Grant records that the member is in the policy, and by whom.
func Grant(g *v1alpha1.PullAccessGrant, origin v1alpha1.GrantOrigin, etag string, now time.Time) {
	Join(g, g.Spec.Workload, PolicyName(g), now)
	granted := metav1.NewTime(now)
	g.Status.Origin = origin
	g.Status.GrantedTime = &granted
	reason, sentence := v1alpha1.ReasonAccessGranted, message.MemberAdded
	if origin == v1alpha1.OriginFound {
		g.Status.Write = nil
		Note(g, v1alpha1.HistoryFound, "", now)
		reason, sentence = v1alpha1.ReasonAlreadyGranted, message.MemberFound
	} else {
		if g.Status.Write == nil {
			g.Status.Write = &v1alpha1.IAMPolicyWrite{IntentTime: granted}
		}
		g.Status.Write.EtagAfter = etag
		Note(g, v1alpha1.HistoryGranted, message.MemberWritten(g.Status.Write.EtagBefore, etag, message.RequestReason(g.Name)), now)
	}
	setApproved(g)
	set(g, v1alpha1.ConditionGranted, metav1.ConditionTrue, reason, sentence)
	if !Effective(g) {
		set(g, v1alpha1.ConditionEffective, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForPropagation, message.WaitingForPropagation)
	}
	Summarise(g)
}

// Withdraw takes an intent back of which nothing was sent.
func Withdraw(g *v1alpha1.PullAccessGrant) {
	if Interrupted(g) {
		g.Status.Write = nil
	}
}

// Refuse records why the policy was not changed. The intent ends only if it is
// settled that no write of ours has taken effect. A member that could not be
// taken out stays Granted, and Ready says why.
func Refuse(g *v1alpha1.PullAccessGrant, status metav1.ConditionStatus, reason, sentence string, settled bool) {
	toRemove := leaving(g) && (Granted(g) || Interrupted(g))
	if settled {
		Withdraw(g)
	}
	if toRemove {
		if status == metav1.ConditionFalse { // Of an outage nobody is to blame.
			g.Status.RefusedRevocations++
		}
		g.Status.ObservedGeneration = g.Generation // A deletion has a generation of its own.
		set(g, v1alpha1.ConditionReady, status, reason, sentence+force(g))
		return
	}
	if reason == v1alpha1.ReasonPolicyGone {
		set(g, v1alpha1.ConditionApproved, metav1.ConditionFalse, reason, sentence)
	}
	set(g, v1alpha1.ConditionGranted, status, reason, sentence)
	Summarise(g)
}

// leaving tells whether the member is being taken out.
func leaving(g *v1alpha1.PullAccessGrant) bool {
	return g.DeletionTimestamp != nil || g.Status.Ending != nil || RevokedByPerson(g)
}

// forceAfter is after how many refusals people are shown how to do without Google.
const forceAfter = 3

// force says how a record is let go of whose member cannot be taken out.
func force(g *v1alpha1.PullAccessGrant) string {
	if g.Status.RefusedRevocations < forceAfter {
		return ""
	}
	by := message.RevokeByHand(g.Status.RefusedRevocations, RemoveCommand(g))
	if g.DeletionTimestamp != nil {
		by += message.RemoveFinalizer(g.Name)
	}
	return by
}

// MarkEffective records that a pull was first seen to work.
func MarkEffective(g *v1alpha1.PullAccessGrant, now time.Time) {
	if g.Status.EffectiveTime != nil {
		return
	}
	effective := metav1.NewTime(now)
	g.Status.EffectiveTime = &effective
	set(g, v1alpha1.ConditionEffective, metav1.ConditionTrue, v1alpha1.ReasonPullWorked, message.PullWorked)
	Note(g, v1alpha1.HistoryPullWorked, "", now)
}

// MarkIneffective records that the grant has stayed without effect, and what was
// not known when it was made: there the reason is likeliest to be found.
func MarkIneffective(g *v1alpha1.PullAccessGrant, now time.Time) {
	if g.Status.EffectiveTime != nil || Ineffective(g) {
		return
	}
	set(g, v1alpha1.ConditionEffective, metav1.ConditionFalse, v1alpha1.ReasonIneffective, message.Ineffective(g.Spec.Unknowns))
	Note(g, v1alpha1.HistoryIneffective, "", now)
}

// Ineffective tells whether the grant has stayed without effect after all restarts.
func Ineffective(g *v1alpha1.PullAccessGrant) bool {
	return meta.IsStatusConditionFalse(g.Status.Conditions, v1alpha1.ConditionEffective)
}

// Join adds a workload that waits for the grant, or takes one up again that had
// recovered. It reports whether that changed the record, and whether the workload
// is on it: a list full of workloads that may yet be restarted takes no more.
func Join(g *v1alpha1.PullAccessGrant, w v1alpha1.Workload, policy string, now time.Time) (changed, joined bool) {
	since := metav1.NewTime(now)
	fresh := v1alpha1.WorkloadStatus{Workload: w, Policy: policy, State: v1alpha1.WorkloadWaiting, FailingSince: &since}
	if i := index(g, w); i >= 0 {
		known := &g.Status.Workloads[i]
		switch {
		case known.UID == w.UID && !Done(known.State):
			return false, true
		case known.UID == w.UID && known.State == v1alpha1.WorkloadRecovered:
			// Its restarts go on counting: one grant restarts it so often and no more.
			fresh.Attempts, fresh.RestartTime = known.Attempts, known.RestartTime
			g.Status.RecoveredWorkloads--
		}
		*known = fresh
		Summarise(g)
		return true, true
	}
	if len(g.Status.Workloads) >= room(w) && !dropOne(g) {
		// A pod that stands for itself is not restarted: its record can be spared.
		return false, w.Kind == podKind
	}
	g.Status.Workloads = append(g.Status.Workloads, fresh)
	Summarise(g)
	return true, true
}

// Namespaces returns the namespaces of the workloads that need the grant, sorted.
func Namespaces(g *v1alpha1.PullAccessGrant) []string {
	names := []string{g.Spec.Workload.Namespace}
	for i := range g.Status.Workloads {
		if w := &g.Status.Workloads[i]; !Done(w.State) {
			names = append(names, w.Namespace)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// podKind is the kind of a workload that is one pod.
const podKind = "Pod"

// room is how much of the list a workload may find taken. Anybody may make pods
// by the thousand; they get half of it.
func room(w v1alpha1.Workload) int {
	if w.Kind == podKind {
		return MaxWorkloads / 2
	}
	return MaxWorkloads
}

// Same tells whether two records are of one workload.
func Same(a, b v1alpha1.Workload) bool {
	return a.Kind == b.Kind && a.Namespace == b.Namespace && a.Name == b.Name
}

func index(g *v1alpha1.PullAccessGrant, w v1alpha1.Workload) int {
	return slices.IndexFunc(g.Status.Workloads, func(s v1alpha1.WorkloadStatus) bool { return Same(s.Workload, w) })
}

// dropOne makes room by the first workload that is done, else by the first that
// is not going to be restarted.
func dropOne(g *v1alpha1.PullAccessGrant) bool {
	idle := func(w v1alpha1.WorkloadStatus) bool {
		return w.State == v1alpha1.WorkloadLeftToKubelet || w.State == v1alpha1.WorkloadStuck
	}
	i := slices.IndexFunc(g.Status.Workloads, func(w v1alpha1.WorkloadStatus) bool { return Done(w.State) })
	if i < 0 {
		i = slices.IndexFunc(g.Status.Workloads, idle)
	}
	if i >= 0 {
		g.Status.Workloads = slices.Delete(g.Status.Workloads, i, i+1)
	}
	return i >= 0
}

// Done tells whether a workload in this state is looked after no more.
func Done(state v1alpha1.WorkloadState) bool {
	return state == v1alpha1.WorkloadRecovered || state == v1alpha1.WorkloadGone
}

func set(g *v1alpha1.PullAccessGrant, conditionType string, status metav1.ConditionStatus, reason, sentence string) {
	meta.SetStatusCondition(&g.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: sentence, ObservedGeneration: g.Generation,
	})
}
