// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/internal/decision"
)

// must wants a call of the plugin to end well, and returns what it printed.
func (p plugin) must(t *testing.T, arguments ...string) string {
	t.Helper()
	code, out, errOut := p.run(t, arguments...)
	if code != exit.OK {
		t.Fatalf("%v: exit code %d: %s%s", arguments, code, out, errOut)
	}
	return out
}

func waits(g *v1alpha1.PullAccessGrant) bool {
	return is(g, v1alpha1.ConditionApproved, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForApproval)
}

func hasEnded(reason v1alpha1.EndReason) func(*v1alpha1.PullAccessGrant) bool {
	return endedFor(string(reason))
}

// asking is the site's policy, in mode Approve.
func (s *site) asking() *v1alpha1.PullAccessPolicy {
	policy := s.policy()
	policy.Spec.Mode = v1alpha1.ModeApprove
	return policy
}

// told tells whether the grant's history holds the event, and by whom.
func told(g *v1alpha1.PullAccessGrant, event v1alpha1.HistoryEvent, user string) bool {
	return slices.ContainsFunc(g.Status.History, func(e v1alpha1.HistoryEntry) bool {
		return e.Event == event && e.User == user && !e.Time.IsZero()
	})
}

// TestApproves has a grant wait for a person, who says yes and later takes it back.
func TestApproves(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	o := l.operator(t)
	p := newPlugin(t, "")
	bind(t, approver, "pull-access-approver")
	known(t, approver, "approve", "")
	s := l.site(t, "approves", nodeProject)
	create(t, s.asking(), s.deployment("quick", 1))

	waiting := s.grant(t, "waits for a person", waits)
	event(t, s.namespace, "Pod", "", v1alpha1.ReasonWaitingForApproval)
	event(t, "default", "PullAccessPolicy", s.namespace, v1alpha1.ReasonWaitingForApproval)
	policyCondition(t, s.namespace, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonApprove)
	if n := l.writes(s.resource()); n != 0 {
		t.Fatalf("the policy was written %d times before anybody had approved", n)
	}
	wantWords(t, p.must(t, "grants", "--waiting"), waiting.Name, "WaitingForApproval", "Deployment "+s.namespace+"/app")
	if code, _, errOut := p.run(t, "approve", waiting.Name, "--as=bob@example.com"); code == exit.OK {
		t.Errorf("somebody without the role has approved: %s", errOut)
	}

	wantWords(t, p.must(t, "approve", waiting.Name, "--reason=ticket 7", "--as="+approver), waiting.Name, "approved")
	grant := s.grant(t, "is Ready", healed)
	if !is(grant, v1alpha1.ConditionApproved, metav1.ConditionTrue, v1alpha1.ReasonApproved) || !told(grant, v1alpha1.HistoryApproved, approver) {
		t.Errorf("the record does not say who has approved: %+v", grant.Status)
	}
	for _, event := range []v1alpha1.HistoryEvent{v1alpha1.HistoryProposed, v1alpha1.HistoryGranted, v1alpha1.HistoryPullWorked} {
		if !told(grant, event, "") {
			t.Errorf("the history does not tell %s: %+v", event, grant.Status.History)
		}
	}
	if got := s.readers(t); len(got) != 1 || got[0] != s.member() {
		t.Errorf("readers %v, want %s once", got, s.member())
	}
	if got := o.metric(t.Context(), `pullaccess_decisions_total{outcome="ask",reason="WaitingForApproval"}`); got == "" || got == "0" {
		t.Errorf("the metric of questions is %q", got)
	}

	p.must(t, "revoke", grant.Name, "--reason=not needed", "--as="+approver)
	revoked := s.grant(t, "was revoked", hasEnded(v1alpha1.EndRevoked))
	if got := s.readers(t); len(got) > 0 || !told(revoked, "Revoked", approver) {
		t.Errorf("readers %v are left; history %+v", got, revoked.Status.History)
	}
	s.failAnew(t)
	event(t, s.namespace, "Pod", "", string(v1alpha1.EndRevoked))
	if got := s.readers(t); len(got) > 0 {
		t.Errorf("what a person took back was granted again: %v", got)
	}
}

// TestDoesNotApprove goes through the ways in which a proposal ends without a write.
func TestDoesNotApprove(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	o := l.operator(t)
	p := newPlugin(t, "")
	bind(t, approver, "pull-access-approver")
	known(t, approver, "approve", "")
	denied, changed, lapsed := l.site(t, "denied", nodeProject), l.site(t, "changed", nodeProject), l.site(t, "lapsed", nodeProject)
	for _, s := range []*site{denied, changed, lapsed} {
		create(t, s.asking(), s.deployment("quick", 1))
		s.grant(t, "waits for a person", waits)
	}

	p.must(t, "deny", denied.name(), "--reason=not ours", "--as="+approver)
	denied.grant(t, "was denied", hasEnded(v1alpha1.EndDenied))
	wantWords(t, event(t, denied.namespace, "Pod", "", "Denied").Note, "Denied by "+approver+": not ours.", "kubectl delete pullaccessgrant")
	if code, _, errOut := p.run(t, "approve", denied.name(), "--as="+approver); code != exit.Usage {
		t.Errorf("what was denied can be approved: %d %s", code, errOut)
	}

	// Whoever approves after the policy was changed approves what is there no more: it is asked anew.
	first := changed.grant(t, "waits", waits).Status.Proposal
	changed.editPolicy(t, func(spec *v1alpha1.PullAccessPolicySpec) { spec.Repositories[0].Location = "*" })
	changed.grant(t, "is proposed under the policy as it is now", func(g *v1alpha1.PullAccessGrant) bool {
		return waits(g) && g.Status.Proposal.PolicyGeneration > first.PolicyGeneration && told(g, "PolicyChanged", "")
	})

	o.Stop()
	grant := lapsed.grant(t, "waits", waits)
	before := grant.DeepCopy()
	grant.Status.Proposal.LapseTime = metav1.NewTime(grant.CreationTimestamp.Add(-time.Second))
	if err := shared.client.Status().Patch(t.Context(), grant, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	l.operator(t)
	lapsed.grant(t, "has lapsed", hasEnded(v1alpha1.EndLapsed))
	lapsed.failAnew(t) // A pod that is made after that asks anew.
	lapsed.grant(t, "waits again", waits)

	for _, s := range []*site{denied, changed, lapsed} {
		if n := l.writes(s.resource()); n != 0 {
			t.Errorf("the policy of %s was written %d times", s.namespace, n)
		}
	}
}

// name is that of the site's grant.
func (s *site) name() string { return decision.GrantName(s.repository, s.member()) }

// editPolicy changes the site's policy, as its owner does.
func (s *site) editPolicy(t *testing.T, edit func(*v1alpha1.PullAccessPolicySpec)) {
	t.Helper()
	policy := &v1alpha1.PullAccessPolicy{}
	if err := shared.client.Get(t.Context(), client.ObjectKey{Name: s.namespace}, policy); err != nil {
		t.Fatal(err)
	}
	before := policy.DeepCopy()
	edit(&policy.Spec)
	if err := shared.client.Patch(t.Context(), policy, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// TestPauses has a policy paused: nothing is granted until it is resumed.
func TestPauses(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	l.operator(t)
	p := newPlugin(t, "")
	s := l.site(t, "pauses", nodeProject)
	create(t, s.policy())
	wantWords(t, p.must(t, "pause", s.namespace, "--reason=freeze until Monday"), s.namespace, "paused")
	c := policyCondition(t, s.namespace, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPaused)
	wantWords(t, c.Message, "freeze until Monday", "kubectl pullaccess resume "+s.namespace)
	create(t, s.deployment("quick", 1))
	wantWords(t, event(t, s.namespace, "Pod", "", v1alpha1.ReasonPaused).Note, "Policy "+s.namespace, "it is paused (spec.pause)")
	if n := l.writes(s.resource()); n != 0 {
		t.Errorf("the policy was written %d times under a pause", n)
	}
	wantWords(t, p.must(t, "resume", s.namespace), s.namespace, "resumed")
	s.grant(t, "is Ready", healed)
}

// TestDryRun has a policy say what it would have granted, and forget it when it is enforced.
func TestDryRun(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	o := l.operator(t)
	s := l.site(t, "would", nodeProject)
	policy := s.policy()
	policy.Spec.Mode = v1alpha1.ModeDryRun
	create(t, policy, s.deployment("quick", 2))
	eventually(t, "the policy lists what it would have granted", func(ctx context.Context) (bool, any) {
		found := &v1alpha1.PullAccessPolicy{}
		err := shared.client.Get(ctx, client.ObjectKey{Name: s.namespace}, found)
		would := found.Status.WouldGrant
		return err == nil && len(would) == 1 && would[0].Member == s.member() && would[0].Repository == s.repository.Record(), found.Status
	})
	eventually(t, "it says so", func(context.Context) (bool, any) {
		c := policyCondition(t, s.namespace, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonDryRun)
		return strings.Contains(c.Message, "(1 now)"), c
	})
	eventually(t, "each pod is decided on", func(ctx context.Context) (bool, any) {
		got := o.metric(ctx, `pullaccess_decisions_total{outcome="dry_run",reason="DryRun"}`)
		return got == "2", got
	})
	s.editPolicy(t, func(spec *v1alpha1.PullAccessPolicySpec) { spec.Mode = v1alpha1.ModeEnforce })
	s.grant(t, "is Ready", healed)
	eventually(t, "the list is empty", func(ctx context.Context) (bool, any) {
		found := &v1alpha1.PullAccessPolicy{}
		err := shared.client.Get(ctx, client.ObjectKey{Name: s.namespace}, found)
		return err == nil && len(found.Status.WouldGrant) == 0, found.Status
	})
}
