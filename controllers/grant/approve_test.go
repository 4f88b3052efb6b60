// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// asking is a policy that asks a person, who has an hour to answer.
func asking() *v1alpha1.PullAccessPolicy {
	p := enforcing()
	p.UID = "uid-prod"
	p.Spec.Mode = v1alpha1.ModeApprove
	p.Spec.Approval.Timeout = &metav1.Duration{Duration: time.Hour}
	return p
}

// answer writes a person's word on the grant of member, as the command line does.
func (e *env) answer(member string, decision v1alpha1.ReviewDecision) {
	e.Helper()
	g := e.grant(member)
	g.Status.Review = &v1alpha1.Review{Decision: decision, User: "ann@example.com", Reason: "ticket 7"}
	e.UpdateStatus(g)
}

// edit changes the policy, as a person does: its generation goes up.
func (e *env) editPolicy(edit func(*v1alpha1.PullAccessPolicy)) {
	e.Helper()
	p := &v1alpha1.PullAccessPolicy{}
	if err := e.Server.Get(e.Context(), client.ObjectKey{Name: "prod"}, p); err != nil {
		e.Fatal(err)
	}
	edit(p)
	p.Generation++
	if err := e.Server.Update(e.Context(), p); err != nil {
		e.Fatal(err)
	}
}

// told lists the events of the grant's history.
func told(g *v1alpha1.PullAccessGrant) []v1alpha1.HistoryEvent {
	var events []v1alpha1.HistoryEvent
	for _, entry := range g.Status.History {
		events = append(events, entry.Event)
	}
	return events
}

func (e *env) wantHistory(member string, want ...v1alpha1.HistoryEvent) {
	e.Helper()
	if got := told(e.grant(member)); !slices.Equal(got, want) {
		e.Errorf("the history is %v, want %v", got, want)
	}
}

// TestWaitsForAPerson: nothing is sent before somebody has said yes; then it is, once.
func TestWaitsForAPerson(t *testing.T) {
	e := newEnv(t, readers(foreign), asking(), requested(nodes))
	for range 2 {
		if result := e.mustPass(); result.RequeueAfter != time.Hour {
			t.Errorf("the next look is in %v, want when it lapses", result.RequeueAfter)
		}
		e.restart()
	}
	e.wantCondition(nodes, v1alpha1.ConditionApproved, "Unknown WaitingForApproval")
	e.wantCondition(nodes, v1alpha1.ConditionReady, "Unknown WaitingForApproval")
	e.wantReaders(foreign)

	e.answer(nodes, v1alpha1.ReviewApproved)
	for range 2 {
		e.mustPass()
	}
	e.wantReaders(foreign, nodes)
	e.wantCondition(nodes, v1alpha1.ConditionApproved, "True Approved")
	e.wantHistory(nodes, v1alpha1.HistoryProposed, v1alpha1.HistoryApproved, v1alpha1.HistoryGranted)
	if approved := e.grant(nodes).Status.History[1]; approved.User != "ann@example.com" || approved.Message != "ticket 7" {
		t.Errorf("the history says %+v of who approved and why", approved)
	}
	if len(e.Cloud.Sent) != 1 {
		t.Errorf("%d writes, want one", len(e.Cloud.Sent))
	}
}

// TestNoLeave: each way in which a proposal does not lead to a write, and ends.
func TestNoLeave(t *testing.T) {
	narrowed := func(p *v1alpha1.PullAccessPolicy) {
		p.Spec.NodeServiceAccounts = []string{"other@acme-prod.iam.gserviceaccount.com"}
	}
	widened := func(p *v1alpha1.PullAccessPolicy) { p.Spec.Repositories[0].Name = "*" }
	tests := map[string]struct {
		answer v1alpha1.ReviewDecision
		edit   func(*v1alpha1.PullAccessPolicy)
		gone   bool
		at     time.Duration
		want   v1alpha1.EndReason
		why    string
	}{
		"denied":                      {answer: v1alpha1.ReviewDenied, want: v1alpha1.EndDenied},
		"nobody answered":             {at: time.Hour, want: v1alpha1.EndLapsed},
		"answered too late":           {answer: v1alpha1.ReviewApproved, at: time.Hour + time.Second, want: v1alpha1.EndLapsed},
		"no word that is known":       {answer: "Maybe", want: v1alpha1.EndDenied, why: "unknown never permits"},
		"narrowed before the answer":  {edit: narrowed, want: v1alpha1.EndPolicyChanged},
		"narrowed after the answer":   {answer: v1alpha1.ReviewApproved, edit: narrowed, want: v1alpha1.EndPolicyChanged},
		"widened after the answer":    {answer: v1alpha1.ReviewApproved, edit: widened, want: v1alpha1.EndPolicyChanged, why: "another policy was approved"},
		"enforced, unanswered":        {edit: func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeEnforce }, want: v1alpha1.EndPolicyChanged, why: "a pod has to ask anew"},
		"paused after the answer":     {answer: v1alpha1.ReviewApproved, edit: func(p *v1alpha1.PullAccessPolicy) { p.Spec.Pause = &v1alpha1.PauseSpec{Reason: "freeze"} }, want: v1alpha1.EndPolicyChanged},
		"deleted after the answer":    {answer: v1alpha1.ReviewApproved, gone: true, want: v1alpha1.EndPolicyChanged},
		"a new one of the same name":  {answer: v1alpha1.ReviewApproved, edit: func(p *v1alpha1.PullAccessPolicy) { p.UID, p.Generation = "uid-new", 0 }, want: v1alpha1.EndPolicyChanged},
		"set to dry run after answer": {answer: v1alpha1.ReviewApproved, edit: func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeDryRun }, want: v1alpha1.EndPolicyChanged},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign), asking(), requested(nodes))
			e.mustPass()
			if tc.answer != "" {
				e.answer(nodes, tc.answer)
			}
			if tc.edit != nil {
				e.editPolicy(tc.edit)
			}
			if tc.gone {
				e.Delete(asking())
			}
			e.at(now.Add(tc.at))
			for range 3 {
				e.mustPass()
			}
			e.wantReaders(foreign)
			e.wantCondition(nodes, v1alpha1.ConditionApproved, "False "+string(tc.want))
			e.wantCondition(nodes, v1alpha1.ConditionGranted, "False "+string(tc.want))
			e.wantHistory(nodes, v1alpha1.HistoryProposed, v1alpha1.HistoryEvent(tc.want))
			if len(e.Cloud.Sent) > 0 {
				t.Errorf("sent %+v (%s)", e.Cloud.Sent, tc.why)
			}
		})
	}
}

// TestPolicyChangesAfterTheApprovalWasRead: the last question before the write is
// asked of the policy as it is then.
func TestPolicyChangesAfterTheApprovalWasRead(t *testing.T) {
	e := newEnv(t, readers(foreign), asking(), requested(nodes))
	e.mustPass()
	e.answer(nodes, v1alpha1.ReviewApproved)
	e.Cloud.OnRead = func(int) {
		e.Cloud.OnRead = nil
		e.editPolicy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Repositories[0].Location = "us-central1" })
	}
	if _, err := e.pass(); err == nil {
		t.Error("the change went unnoticed")
	}
	e.mustPass()
	e.wantReaders(foreign)
	e.wantCondition(nodes, v1alpha1.ConditionApproved, "False PolicyChanged")
}

// TestInterruptedWithoutLeave: a write that was begun under Enforce is undone before
// a person is asked.
func TestInterruptedWithoutLeave(t *testing.T) {
	e := newEnv(t, readers(foreign, nodes), asking(), intended(nodes))
	e.mustPass()
	e.wantReaders(foreign)
	e.restart()
	e.mustPass()
	e.wantReaders(foreign)
	e.wantCondition(nodes, v1alpha1.ConditionApproved, "Unknown WaitingForApproval")
}

// TestApprovedThenKilled: the write landed and its record did not.
func TestApprovedThenKilled(t *testing.T) {
	e := newEnv(t, readers(foreign), asking(), requested(nodes))
	e.mustPass()
	e.answer(nodes, v1alpha1.ReviewApproved)
	e.Cloud.Answers = []controllertest.Answer{{Err: errUnanswered, Applied: true}}
	e.nextEdits(nil, iampolicy.ErrUnavailable)
	if _, err := e.pass(); err == nil {
		t.Fatal("an unanswered write is no success")
	}
	e.restart()
	e.mustPass()
	e.wantReaders(foreign, nodes)
	if g := e.grant(nodes); g.Status.Origin != v1alpha1.OriginAdded || !grantstatus.ApprovedByPerson(g) {
		t.Errorf("the record says %+v", g.Status)
	}
}

// TestRevokedByAPerson: what was written is taken back at once, and the record stays.
func TestRevokedByAPerson(t *testing.T) {
	several := granted(nodes, v1alpha1.OriginAdded)
	several.Status.Lifetime.AccountsUsedBy = v1alpha1.UsedBySeveralClusters
	tests := map[string]struct {
		g       *v1alpha1.PullAccessGrant
		readers []string
		says    string
	}{
		"added":                   {granted(nodes, v1alpha1.OriginAdded), []string{foreign}, "took the member out"},
		"found":                   {granted(nodes, v1alpha1.OriginFound), []string{foreign, nodes}, "had not added it"},
		"never written":           {requested(nodes), []string{foreign, nodes}, "nothing of it is in the repository's policy"},
		"interrupted":             {intended(nodes), []string{foreign}, "nothing of it is in the repository's policy"},
		"added, several clusters": {several, []string{foreign, nodes}, "where none does, take it out by hand (gcloud artifacts repositories remove-iam-policy-binding services"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign, nodes), enforcing(), tc.g)
			e.answer(nodes, v1alpha1.ReviewRevoked)
			for range 3 {
				e.mustPass()
			}
			e.wantReaders(tc.readers...)
			e.wantCondition(nodes, v1alpha1.ConditionGranted, "False Revoked")
			g := e.grant(nodes)
			if sentence := grantstatus.Why(g); !strings.Contains(sentence, "Revoked by ann@example.com: ticket 7.") || !strings.Contains(sentence, tc.says) {
				t.Errorf("it says %q, want %q in it", sentence, tc.says)
			}
			if last := g.Status.History[len(g.Status.History)-1]; last.Event != "Revoked" || last.User != "ann@example.com" {
				t.Errorf("the history ends with %+v", last)
			}
			if grantstatus.MayReopen(g, now.Add(time.Hour)) {
				t.Error("a pod may ask anew for what a person has taken back")
			}
		})
	}
}
