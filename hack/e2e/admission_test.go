// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// What the policy pullaccess.dev-grant-status says, refusal by refusal.
const (
	recordMessage = "Leave all of status but review as it is: the rest is the record, which takes the verb write-status on " +
		"pullaccessgrants and is never written together with a review."
	stayMessage = "Leave status.review where it is: what was decided stays on record until the operator, with the verb write-status " +
		"on pullaccessgrants, takes it away."
	approveMessage = "Ask somebody who may to approve or deny this grant: it takes the verb approve on pullaccessgrants, as in " +
		"ClusterRole pull-access-approver."
	revokeMessage = "Ask somebody who may to revoke this grant: it takes the verb revoke on pullaccessgrants, as in " +
		"ClusterRole pull-access-approver."
	userMessage = "Set status.review.user to your own name as the API server knows it, which kubectl auth whoami shows."
	waitMessage = "Approve or deny a grant only while its condition Approved is Unknown with reason WaitingForApproval and it " +
		"has no review yet: look at its status first."
	standMessage = "Revoke a grant only while it has not ended; deny one that waits for approval."
)

// state makes or changes the status of a grant.
type state func(*v1alpha1.PullAccessGrantStatus)

// with is one after the other.
func with(states ...state) state {
	return func(s *v1alpha1.PullAccessGrantStatus) {
		for _, apply := range states {
			apply(s)
		}
	}
}

func condition(kind string, status metav1.ConditionStatus, reason string) state {
	return func(s *v1alpha1.PullAccessGrantStatus) {
		s.Conditions = append(s.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, LastTransitionTime: metav1.Unix(1700000000, 0),
		})
	}
}

func review(decision v1alpha1.ReviewDecision, user string) state {
	return func(s *v1alpha1.PullAccessGrantStatus) { s.Review = &v1alpha1.Review{Decision: decision, User: user} }
}

func nothing(*v1alpha1.PullAccessGrantStatus)        {}
func noReview(s *v1alpha1.PullAccessGrantStatus)     { s.Review = nil }
func because(s *v1alpha1.PullAccessGrantStatus)      { s.Review.Reason = "It is ours." }
func added(s *v1alpha1.PullAccessGrantStatus)        { s.Origin = v1alpha1.OriginAdded }
func found(s *v1alpha1.PullAccessGrantStatus)        { s.Origin = v1alpha1.OriginFound }
func noConditions(s *v1alpha1.PullAccessGrantStatus) { s.Conditions = nil }
func trueNow(s *v1alpha1.PullAccessGrantStatus)      { s.Conditions[0].Status = metav1.ConditionTrue }

func ended(s *v1alpha1.PullAccessGrantStatus) {
	at := metav1.Unix(1700000000, 0)
	s.EndedTime = &at
}

func intended(s *v1alpha1.PullAccessGrantStatus) {
	s.Write = &v1alpha1.IAMPolicyWrite{IntentTime: metav1.Unix(1700000000, 0), EtagBefore: "BwYx"}
}

func approves(user string) state { return review(v1alpha1.ReviewApproved, user) }
func denies(user string) state   { return review(v1alpha1.ReviewDenied, user) }
func revokes(user string) state  { return review(v1alpha1.ReviewRevoked, user) }

// step is one write of the status of a grant.
type step struct {
	user   string
	change state
}

// recorded is what the administrator, who may, writes in the operator's place.
func recorded(kind string, status metav1.ConditionStatus, reason string) []step {
	return []step{{admin, condition(kind, status, reason)}}
}

// What a status can be, by how it came to be so.
var (
	empty    []step
	waiting  = recorded(v1alpha1.ConditionApproved, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForApproval)
	denied   = append(slices.Clone(waiting), step{approver, denies(approver)})
	granted  = append(recorded(v1alpha1.ConditionGranted, metav1.ConditionTrue, v1alpha1.ReasonAccessGranted), step{admin, added})
	approved = slices.Concat(waiting, []step{{approver, approves(approver)}, {admin, trueNow}}, granted)
	limited  = recorded(v1alpha1.ConditionGranted, metav1.ConditionFalse, string(v1alpha1.LimitCircuitBreaker))
	broken   = append(recorded(v1alpha1.ConditionGranted, metav1.ConditionUnknown, v1alpha1.ReasonGranting), step{admin, intended})
)

// reviewCase is one attempt at the status of a grant.
type reviewCase struct {
	before []step
	user   string
	change state
	// refused is the sentence that refuses it, "" if nothing does.
	refused string
}

// reviewCases have grants of their own, which are named like them.
var reviewCases = map[string]reviewCase{
	"approver-approves":           {waiting, approver, with(approves(approver), because), ""},
	"approver-denies":             {waiting, approver, denies(approver), ""},
	"approver-revokes":            {granted, approver, revokes(approver), ""},
	"approver-revokes-approved":   {approved, approver, revokes(approver), ""},
	"approver-revokes-limited":    {limited, approver, revokes(approver), ""},
	"approver-revokes-broken-off": {broken, approver, revokes(approver), ""},
	"approver-revokes-the-new":    {empty, approver, revokes(approver), ""},
	"approver-revokes-unwritten":  {append(slices.Clone(waiting), step{approver, approves(approver)}), approver, revokes(approver), ""},
	"administrator-approves":      {waiting, admin, approves(admin), ""},
	"administrator-revokes":       {granted, admin, revokes(admin), ""},
	narrowGrant:                   {waiting, narrow, approves(narrow), ""},
	"decider-approves":            {waiting, decider, approves(decider), ""},
	"revoker-revokes":             {approved, revoker, revokes(revoker), ""},
	"operator-begins-a-record":    {empty, operatorUser, added, ""},
	"operator-changes-the-record": {granted, operatorUser, found, ""},
	"operator-takes-a-field-away": {granted, operatorUser, noConditions, ""},
	"operator-leaves-the-review":  {approved, operatorUser, found, ""},
	"operator-takes-the-review":   {approved, operatorUser, noReview, ""},
	"writer-leaves-all":           {waiting, writer, nothing, ""},
	"writer-leaves-the-review":    {approved, writer, nothing, ""},

	"approver-adds-a-field":               {waiting, approver, added, recordMessage},
	"approver-adds-a-field-and-approves":  {waiting, approver, with(added, approves(approver)), recordMessage},
	"approver-changes-a-field":            {granted, approver, found, recordMessage},
	"approver-changes-inside-a-field":     {waiting, approver, trueNow, recordMessage},
	"approver-takes-a-field-away":         {granted, approver, noConditions, recordMessage},
	"approver-begins-a-record":            {empty, approver, added, recordMessage},
	"writer-begins-a-record":              {empty, writer, found, recordMessage},
	"administrator-records-and-approves":  {waiting, admin, with(added, approves(admin)), recordMessage},
	"operator-records-and-approves":       {waiting, operatorUser, with(trueNow, approves(operatorUser)), recordMessage},
	"approver-takes-the-review":           {approved, approver, noReview, stayMessage},
	"writer-takes-the-review":             {approved, writer, noReview, stayMessage},
	"writer-approves":                     {waiting, writer, approves(writer), approveMessage},
	"writer-denies":                       {waiting, writer, denies(writer), approveMessage},
	"revoker-approves":                    {waiting, revoker, approves(revoker), approveMessage},
	"narrow-approver-approves-another":    {waiting, narrow, approves(narrow), approveMessage},
	"operator-approves":                   {waiting, operatorUser, approves(operatorUser), approveMessage},
	"operator-approves-as-another":        {waiting, operatorUser, approves(approver), approveMessage},
	"operator-changes-the-review":         {denied, operatorUser, approves(approver), approveMessage},
	"writer-revokes":                      {granted, writer, revokes(writer), revokeMessage},
	"decider-revokes":                     {granted, decider, revokes(decider), revokeMessage},
	"operator-revokes":                    {granted, operatorUser, revokes(operatorUser), revokeMessage},
	"approver-approves-as-another":        {waiting, approver, approves(admin), userMessage},
	"approver-denies-as-another":          {waiting, approver, denies(decider), userMessage},
	"approver-revokes-as-another":         {granted, approver, revokes(revoker), userMessage},
	"administrator-approves-as-another":   {waiting, admin, approves(approver), userMessage},
	"approver-puts-another-to-the-review": {approved, approver, revokes(decider), userMessage},
	"approver-approves-without-a-status":  {empty, approver, approves(approver), waitMessage},
	"approver-approves-what-is-granted":   {granted, approver, approves(approver), waitMessage},
	"approver-approves-what-has-lapsed": {
		recorded(v1alpha1.ConditionApproved, metav1.ConditionFalse, v1alpha1.ReasonWaitingForApproval), approver, approves(approver), waitMessage,
	},
	"approver-approves-for-another-reason": {
		recorded(v1alpha1.ConditionApproved, metav1.ConditionUnknown, v1alpha1.ReasonConflict), approver, approves(approver), waitMessage,
	},
	"approver-approves-another-condition": {
		recorded(v1alpha1.ConditionGranted, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForApproval), approver, approves(approver), waitMessage,
	},
	"approver-approves-what-was-denied": {denied, approver, approves(approver), waitMessage},
	"approver-gives-another-reason":     {approved, approver, because, waitMessage},
	"administrator-approves-too-late":   {granted, admin, denies(admin), waitMessage},
	"approver-revokes-what-waits":       {waiting, approver, revokes(approver), standMessage},
	"approver-revokes-what-has-ended": {
		append(recorded(v1alpha1.ConditionGranted, metav1.ConditionFalse, string(v1alpha1.EndRevoked)), step{admin, ended}),
		approver, revokes(approver), standMessage,
	},
	"editor-approves": {waiting, editor, approves(editor), `cannot patch resource "pullaccessgrants/status"`},
}

// TestAdmissionOfGrantStatus tries each rule on who may write what into the status of a grant.
func TestAdmissionOfGrantStatus(t *testing.T) {
	enrol(t)
	probe := newGrant("admission-probe")
	createUntilEnd(t, probe)
	inForce(t, "pullaccess.dev-grant-status", func(ctx context.Context) error {
		before, after := probe.DeepCopy(), probe.DeepCopy()
		added(&after.Status)
		return as(t, writer).Status().Patch(ctx, after, client.MergeFrom(before), client.DryRunAll)
	})
	t.Run("cases", func(t *testing.T) {
		for name, tc := range reviewCases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				wantRefusal(t, tryReview(t, name, tc), tc.refused)
			})
		}
	})
	var sentences []string
	for _, tc := range reviewCases {
		sentences = append(sentences, tc.refused)
	}
	wantAllSaid(t, "pullaccess.dev-grant-status", sentences)
}

// tryReview makes the case's grant, and has its user change it.
func tryReview(t *testing.T, name string, tc reviewCase) error {
	t.Helper()
	grant := newGrant(name)
	createUntilEnd(t, grant)
	for _, done := range tc.before {
		if err := write(t, grant, done); err != nil {
			t.Fatalf("%s could not make the status: %v", done.user, err)
		}
	}
	return write(t, grant, step{tc.user, tc.change})
}

func write(t *testing.T, grant *v1alpha1.PullAccessGrant, s step) error {
	t.Helper()
	before := grant.DeepCopy()
	s.change(&grant.Status)
	return as(t, s.user).Status().Patch(t.Context(), grant, client.MergeFrom(before))
}

// wantRefusal wants the API server to refuse with this sentence, or not to refuse.
func wantRefusal(t *testing.T, err error, sentence string) {
	t.Helper()
	switch {
	case sentence == "" && err != nil:
		t.Errorf("it was refused: %v", err)
	case sentence != "" && (err == nil || !strings.Contains(err.Error(), sentence)):
		t.Errorf("the API server said %v, want it to refuse with %q", err, sentence)
	}
}

// inForce waits until a policy refuses what it must: the API server takes a moment to know of policies.
func inForce(t *testing.T, policy string, try func(context.Context) error) {
	t.Helper()
	eventually(t, "policy "+policy+" is in force", func(ctx context.Context) (bool, any) {
		err := try(ctx)
		return err != nil && strings.Contains(err.Error(), "'"+policy+"'"), err
	})
}

// wantAllSaid wants each refusal of a policy to be a sentence that some case has heard, and the API server to find that the
// expressions fit the schema of what they judge.
func wantAllSaid(t *testing.T, name string, sentences []string) {
	t.Helper()
	var policy admissionv1.ValidatingAdmissionPolicy
	eventually(t, "policy "+name+" was checked", func(ctx context.Context) (bool, any) {
		err := shared.client.Get(ctx, client.ObjectKey{Name: name}, &policy)
		return err == nil && policy.Status.ObservedGeneration == policy.Generation && policy.Status.TypeChecking != nil, []any{err, policy.Status}
	})
	for _, warning := range policy.Status.TypeChecking.ExpressionWarnings {
		t.Errorf("%s: %s", warning.FieldRef, warning.Warning)
	}
	for _, v := range policy.Spec.Validations {
		if !slices.Contains(sentences, v.Message) {
			t.Errorf("no case is refused with %q", v.Message)
		}
		if !strings.HasSuffix(v.Message, ".") || strings.Contains(v.Message, "\n") {
			t.Errorf("%q is no sentence", v.Message)
		}
	}
}
