// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestState looks at statuses as the operator and people may leave them, whichever way they came about.
func TestState(t *testing.T) {
	type status func(*v1alpha1.PullAccessGrant)
	moment := metav1.NewTime(now)
	is := func(conditionType string, status metav1.ConditionStatus, reason string) status {
		return func(g *v1alpha1.PullAccessGrant) {
			meta.SetStatusCondition(&g.Status.Conditions, metav1.Condition{Type: conditionType, Status: status, Reason: reason})
		}
	}
	proposed := is(v1alpha1.ConditionApproved, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForApproval)
	asIs := is(v1alpha1.ConditionGranted, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForApproval)
	granted := is(v1alpha1.ConditionGranted, metav1.ConditionTrue, v1alpha1.ReasonAccessGranted)
	said := func(d v1alpha1.ReviewDecision) status {
		return func(g *v1alpha1.PullAccessGrant) { g.Status.Review = &v1alpha1.Review{Decision: d, User: "ada"} }
	}
	ended := func(reason v1alpha1.EndReason) status {
		return func(g *v1alpha1.PullAccessGrant) {
			is(v1alpha1.ConditionGranted, metav1.ConditionFalse, string(reason))(g)
			g.Status.EndedTime = &moment
		}
	}
	ending := func(g *v1alpha1.PullAccessGrant) {
		g.Status.Ending = &v1alpha1.Ending{Reason: v1alpha1.EndExpired, DueTime: moment}
	}
	deleted := func(g *v1alpha1.PullAccessGrant) { g.DeletionTimestamp = &moment }
	tests := map[string]struct {
		status  []status
		want    string
		waiting bool
	}{
		"zero":              {nil, v1alpha1.ReasonGranting, false},
		"begun":             {[]status{is(v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonGranting)}, v1alpha1.ReasonGranting, false},
		"limited":           {[]status{is(v1alpha1.ConditionGranted, metav1.ConditionFalse, "CircuitBreaker")}, "CircuitBreaker", false},
		"refused by Google": {[]status{is(v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonCloudForbidden)}, v1alpha1.ReasonCloudForbidden, false},
		"proposed":          {[]status{proposed, asIs}, v1alpha1.ReasonWaitingForApproval, true},
		"proposed, alone":   {[]status{proposed}, v1alpha1.ReasonWaitingForApproval, true},
		"proposed, deleted": {[]status{proposed, deleted}, StateRevoking, false},
		"proposed, revoked": {[]status{proposed, said(v1alpha1.ReviewRevoked)}, StateRevoking, false},
		"approved, unread":  {[]status{proposed, asIs, said(v1alpha1.ReviewApproved)}, StateApproved, false},
		"denied, unread":    {[]status{proposed, asIs, said(v1alpha1.ReviewDenied)}, "Denied", false},
		"denied":            {[]status{proposed, said(v1alpha1.ReviewDenied), ended(v1alpha1.EndDenied)}, "Denied", false},
		"lapsed":            {[]status{proposed, ended(v1alpha1.EndLapsed)}, "Lapsed", false},
		"granted":           {[]status{granted}, StateGranted, false},
		"approved, granted": {[]status{granted, said(v1alpha1.ReviewApproved)}, StateGranted, false},
		"ineffective":       {[]status{granted, is(v1alpha1.ConditionEffective, metav1.ConditionFalse, v1alpha1.ReasonIneffective)}, StateIneffective, false},
		"ending":            {[]status{granted, ending}, v1alpha1.ReasonRevocationScheduled, false},
		"revoked, unread":   {[]status{granted, ending, said(v1alpha1.ReviewRevoked)}, StateRevoking, false},
		"revoked":           {[]status{granted, said(v1alpha1.ReviewRevoked), ended(v1alpha1.EndRevoked)}, string(v1alpha1.EndRevoked), false},
		"expired":           {[]status{granted, ended(v1alpha1.EndExpired)}, "Expired", false},
		"being deleted":     {[]status{granted, deleted}, StateRevoking, false},
		"not Unknown":       {[]status{is(v1alpha1.ConditionApproved, metav1.ConditionTrue, v1alpha1.ReasonWaitingForApproval)}, v1alpha1.ReasonGranting, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.PullAccessGrant{}
			for _, set := range tc.status {
				set(g)
			}
			if got := State(g); got != tc.want {
				t.Errorf("State = %s, want %s", got, tc.want)
			}
			if got := Waiting(g); got != tc.waiting {
				t.Errorf("Waiting = %v, want %v", got, tc.waiting)
			}
		})
	}
}

func TestStays(t *testing.T) {
	tests := map[string]struct {
		origin v1alpha1.GrantOrigin
		used   v1alpha1.AccountUse
		want   bool
	}{
		"zero":             {"", "", true},
		"added":            {v1alpha1.OriginAdded, v1alpha1.UsedByThisCluster, false},
		"found":            {v1alpha1.OriginFound, v1alpha1.UsedByThisCluster, true},
		"several clusters": {v1alpha1.OriginAdded, v1alpha1.UsedBySeveralClusters, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.PullAccessGrant{}
			g.Status.Origin, g.Status.Lifetime.AccountsUsedBy = tc.origin, tc.used
			if got := Stays(g); got != tc.want {
				t.Errorf("Stays = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestPolicyName(t *testing.T) {
	g := &v1alpha1.PullAccessGrant{Spec: v1alpha1.PullAccessGrantSpec{Policy: "first"}}
	if got := PolicyName(g); got != "first" {
		t.Errorf("PolicyName = %s", got)
	}
	g.Status.Policy = "now"
	if got := PolicyName(g); got != "now" {
		t.Errorf("PolicyName = %s", got)
	}
}
