// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package record keeps the record: how the status of a PullAccessGrant changes
// as the grant goes its way, and what that comes to for whoever reads it.
//
// It is pure. The controllers call it on a copy and write the difference.
package record

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// MaxWorkloads is how many workloads one grant lists, as the kind's schema has it.
const MaxWorkloads = 128

// Granted tells whether the member is in the policy as far as the record says.
func Granted(g *v1alpha1.PullAccessGrant) bool {
	return meta.IsStatusConditionTrue(g.Status.Conditions, v1alpha1.ConditionGranted)
}

// Effective tells whether a pull was seen to work after the grant.
func Effective(g *v1alpha1.PullAccessGrant) bool { return g.Status.EffectiveTime != nil }

// Intend records that the member is about to be added, or taken out, on top of
// the policy with this etag. It comes before the write. What is added is added
// for the grant's first workload, which so comes to stand on the record.
func Intend(g *v1alpha1.PullAccessGrant, adding bool, etag string, now time.Time) {
	g.Status.Write = &v1alpha1.PolicyWrite{IntendedTime: metav1.NewTime(now), EtagBefore: etag}
	if !adding {
		return
	}
	Join(g, g.Spec.Workload, g.Spec.Policy, now)
	set(g, v1alpha1.ConditionApproved, metav1.ConditionTrue, v1alpha1.ReasonPolicyEnforces,
		fmt.Sprintf("Policy %s is in mode Enforce.", g.Spec.Policy))
	set(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonGranting,
		"The member is being added to the repository's policy.")
	Summarise(g)
}

// Interrupted tells whether an intent was recorded and its outcome was not: the
// write may or may not have taken effect.
func Interrupted(g *v1alpha1.PullAccessGrant) bool {
	return g.Status.Write != nil && g.Status.Write.EtagAfter == ""
}

// Grant records that the member is in the policy, and by whom.
func Grant(g *v1alpha1.PullAccessGrant, origin v1alpha1.GrantOrigin, etag string, now time.Time) {
	Join(g, g.Spec.Workload, g.Spec.Policy, now)
	granted := metav1.NewTime(now)
	g.Status.Origin = origin
	g.Status.GrantedTime = &granted
	reason, message := v1alpha1.ReasonAccessGranted, "The operator added the member to the repository's policy."
	if origin == v1alpha1.OriginFound {
		g.Status.Write = nil
		reason, message = v1alpha1.ReasonAlreadyGranted, "The member was in the repository's policy already; the operator changed nothing and will take nothing back."
	} else {
		if g.Status.Write == nil {
			g.Status.Write = &v1alpha1.PolicyWrite{IntendedTime: granted}
		}
		g.Status.Write.EtagAfter = etag
	}
	set(g, v1alpha1.ConditionApproved, metav1.ConditionTrue, v1alpha1.ReasonPolicyEnforces,
		fmt.Sprintf("Policy %s is in mode Enforce.", g.Spec.Policy))
	set(g, v1alpha1.ConditionGranted, metav1.ConditionTrue, reason, message)
	set(g, v1alpha1.ConditionEffective, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForPropagation,
		"No pull has been seen to work yet; IAM typically needs 2 minutes, at times 7, to spread a change.")
	Summarise(g)
}

// Refuse records why the member is not in the policy. Where the cloud did not
// answer, a write may have taken effect, and the intent stays; else it ends.
func Refuse(g *v1alpha1.PullAccessGrant, status metav1.ConditionStatus, reason, message string) {
	if reason != v1alpha1.ReasonCloudUnreachable {
		g.Status.Write = nil
	}
	if reason == v1alpha1.ReasonPolicyGone {
		set(g, v1alpha1.ConditionApproved, metav1.ConditionFalse, reason, message)
	}
	set(g, v1alpha1.ConditionGranted, status, reason, message)
	Summarise(g)
}

// MarkEffective records that a pull was first seen to work.
func MarkEffective(g *v1alpha1.PullAccessGrant, now time.Time) {
	if g.Status.EffectiveTime != nil {
		return
	}
	effective := metav1.NewTime(now)
	g.Status.EffectiveTime = &effective
	set(g, v1alpha1.ConditionEffective, metav1.ConditionTrue, v1alpha1.ReasonPullWorked, "A pull was seen to work after the grant.")
}

// MarkIneffective records that the grant has stayed without effect.
func MarkIneffective(g *v1alpha1.PullAccessGrant) {
	if g.Status.EffectiveTime != nil {
		return
	}
	set(g, v1alpha1.ConditionEffective, metav1.ConditionFalse, v1alpha1.ReasonIneffective,
		"Pods still cannot pull after all attempts; look for a deny policy, a principal access boundary, VPC Service Controls or a download rule that blocks the account.")
}

// Join adds a workload that waits for the grant. It reports whether that changed
// the record, and whether the workload is on it: a list full of workloads that
// have not recovered takes no more.
func Join(g *v1alpha1.PullAccessGrant, w v1alpha1.Workload, policy string, now time.Time) (changed, joined bool) {
	if i := index(g, w); i >= 0 {
		known := &g.Status.Workloads[i]
		if known.UID == w.UID && known.State != v1alpha1.WorkloadGone {
			return false, true
		}
		g.Status.Workloads = slices.Delete(g.Status.Workloads, i, i+1)
	}
	if len(g.Status.Workloads) >= MaxWorkloads && !dropDone(g) {
		return false, false
	}
	since := metav1.NewTime(now)
	g.Status.Workloads = append(g.Status.Workloads, v1alpha1.WorkloadStatus{
		Workload: w, Policy: policy, State: v1alpha1.WorkloadWaiting, FailingSince: &since,
	})
	Summarise(g)
	return true, true
}

// Same tells whether two records are of one workload.
func Same(a, b v1alpha1.Workload) bool {
	return a.Kind == b.Kind && a.Namespace == b.Namespace && a.Name == b.Name
}

func index(g *v1alpha1.PullAccessGrant, w v1alpha1.Workload) int {
	return slices.IndexFunc(g.Status.Workloads, func(s v1alpha1.WorkloadStatus) bool { return Same(s.Workload, w) })
}

// dropDone makes room by the first workload that is done.
func dropDone(g *v1alpha1.PullAccessGrant) bool {
	for i := range g.Status.Workloads {
		if Done(g.Status.Workloads[i].State) {
			g.Status.Workloads = slices.Delete(g.Status.Workloads, i, i+1)
			return true
		}
	}
	return false
}

// Done tells whether a workload in this state is looked after no more.
func Done(state v1alpha1.WorkloadState) bool {
	return state == v1alpha1.WorkloadRecovered || state == v1alpha1.WorkloadGone
}

func set(g *v1alpha1.PullAccessGrant, conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&g.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: message, ObservedGeneration: g.Generation,
	})
}
