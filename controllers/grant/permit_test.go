// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// TestConsider: whoever can make a PullAccessGrant by hand gets no more by it
// than the policies allow.
func TestConsider(t *testing.T) {
	const user = "user:mallory@example.com"
	unknown := func(kind diagnosis.ObstacleKind) diagnosis.Repository {
		return diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: kind, Detail: "it was not to be had"}}
	}
	mode := func(mode string) diagnosis.Repository {
		return diagnosis.Repository{State: diagnosis.Present, Format: "DOCKER", Mode: mode}
	}
	allowVirtual := func(p *v1alpha1.PullAccessPolicy) { p.Spec.VirtualRepositories = v1alpha1.Allow }
	tests := map[string]struct {
		member string
		named  string
		fact   diagnosis.Repository
		policy func(*v1alpha1.PullAccessPolicy)
		want   string
		why    string
	}{
		"as made by the operator": {fact: controllertest.StandardRepository(), want: "True AccessGranted"},
		"wrong name":              {named: "any", fact: controllertest.StandardRepository(), want: "False WriteRefused", why: "two records of one member would take it from each other"},
		"a person":                {member: user, fact: controllertest.StandardRepository(), want: "False WriteRefused", why: "the operator grants service accounts only"},
		"virtual, denied":         {fact: mode("VIRTUAL_REPOSITORY"), want: "False PolicyGone", why: "it would open all upstream repositories"},
		"virtual, allowed":        {fact: mode("VIRTUAL_REPOSITORY"), policy: allowVirtual, want: "True AccessGranted"},
		"remote":                  {fact: mode("REMOTE_REPOSITORY"), want: "True AccessGranted"},
		"unknown mode":            {fact: mode("FUTURE_REPOSITORY"), want: "False RepositoryUnreadable", why: "nobody knows what a grant opens there"},
		"no images":               {fact: diagnosis.Repository{State: diagnosis.Present, Format: "MAVEN", Mode: "STANDARD_REPOSITORY"}, want: "False RepositoryUnreadable"},
		"missing":                 {fact: diagnosis.Repository{State: diagnosis.Missing}, want: "False RepositoryNotFound"},
		"forbidden":               {fact: unknown(diagnosis.Forbidden), want: "False CloudForbidden"},
		"quota project denied":    {fact: unknown(diagnosis.QuotaProjectDenied), want: "False CloudForbidden", why: "somebody has to allow the operator's account first"},
		"consumer invalid":        {fact: unknown(diagnosis.ConsumerInvalid), want: "False RepositoryUnreadable"},
		"location invalid":        {fact: unknown(diagnosis.InvalidLocation), want: "False RepositoryUnreadable"},
		"unavailable":             {fact: unknown(diagnosis.Unavailable), want: "Unknown CloudUnreachable", why: "it may be readable in a while"},
		"not read":                {want: "False RepositoryUnreadable", why: "the zero value opens nothing"},
		"dry run": {
			fact: controllertest.StandardRepository(), want: "False PolicyGone", why: "DryRun writes nothing",
			policy: func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeDryRun },
		},
		"another repository": {
			fact: controllertest.StandardRepository(), want: "False PolicyGone", why: "the policy was narrowed",
			policy: func(p *v1alpha1.PullAccessPolicy) { p.Spec.Repositories[0].Name = "website" },
		},
		"another account": {
			fact: controllertest.StandardRepository(), want: "False PolicyGone", why: "the policy was narrowed",
			policy: func(p *v1alpha1.PullAccessPolicy) {
				p.Spec.NodeServiceAccounts = []string{"else@acme-prod.iam.gserviceaccount.com"}
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			member, policy := nodes, enforcing()
			if tc.member != "" {
				member = tc.member
			}
			if tc.policy != nil {
				tc.policy(policy)
			}
			g := requested(member)
			if tc.named != "" {
				g.Name = tc.named
			}
			e := newEnv(t, readers(foreign), policy, g)
			e.setRepository(tc.fact)
			result, err := e.pass()

			if retried := tc.want == "Unknown CloudUnreachable"; (err != nil) != retried {
				t.Errorf("Reconcile: %v, want an error: %v", err, retried)
			}
			if err := e.Server.Get(t.Context(), keyOf(g), g); err != nil {
				t.Fatal(err)
			}
			if got := condition(g, v1alpha1.ConditionGranted); got != tc.want {
				t.Errorf("Granted is %q, want %q: %s", got, tc.want, tc.why)
			}
			if tc.want == "True AccessGranted" {
				e.wantReaders(foreign, nodes)
				return
			}
			if e.edits() != 0 || len(g.Finalizers) != 0 || g.Status.Write != nil {
				t.Errorf("%d edits, finalizers %q, write %+v; want none: %s", e.edits(), g.Finalizers, g.Status.Write, tc.why)
			}
			if err == nil && result.RequeueAfter != recheckAfter {
				t.Errorf("RequeueAfter = %v, want %v", result.RequeueAfter, recheckAfter)
			}
		})
	}
}

// TestPolicyGone: nothing is written any more, and what a dead operator may have
// written is taken out.
func TestPolicyGone(t *testing.T) {
	tests := map[string]struct {
		g       *v1alpha1.PullAccessGrant
		readers []string
		want    []string
		edits   int
	}{
		"before the write":                        {g: requested(nodes), readers: []string{foreign}, want: []string{foreign}},
		"before the write, somebody else's is in": {g: requested(nodes), readers: []string{foreign, nodes}, want: []string{foreign, nodes}},
		"interrupted, the write took effect":      {g: intended(nodes), readers: []string{foreign, nodes}, want: []string{foreign}, edits: 1},
		"interrupted, it did not":                 {g: intended(nodes), readers: []string{foreign}, want: []string{foreign}, edits: 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, tc.readers, tc.g)
			e.mustPass()
			e.wantReaders(tc.want...)
			e.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
			e.wantCondition(nodes, v1alpha1.ConditionApproved, "False PolicyGone")
			if grantstatus.Interrupted(e.grant(nodes)) || e.edits() != tc.edits {
				t.Errorf("%d edits, the intent is open: %v; want %d and closed", e.edits(), grantstatus.Interrupted(e.grant(nodes)), tc.edits)
			}
		})
	}
}

// TestPolicyGoesWhileTheEditWaits: the policies are asked once more right before
// each write.
func TestPolicyGoesWhileTheEditWaits(t *testing.T) {
	tests := map[string]struct {
		first    controllertest.Answer
		goesIn   int
		wantSent int
		wantOpen bool
		why      string
	}{
		"before the first write": {goesIn: 1, why: "nothing was begun"},
		"before the second": {
			first: controllertest.Answer{Err: iampolicy.ErrConflict}, goesIn: 2, wantSent: 1,
			why: "Google refused the first: the intent is withdrawn",
		},
		"before the second, the first unanswered": {
			first: controllertest.Answer{Err: errUnanswered}, goesIn: 2, wantSent: 1, wantOpen: true,
			why: "the first may still take effect: the intent stays, to be undone",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			policy := enforcing()
			e := newEnv(t, readers(foreign), policy, requested(nodes))
			e.Cloud.Answers = []controllertest.Answer{tc.first}
			e.Cloud.OnRead = func(round int) {
				if round == tc.goesIn {
					e.Delete(policy)
				}
			}
			if _, err := e.pass(); err == nil {
				t.Error("Reconcile returns no error, and nothing brings the grant back")
			}
			e.wantReaders(foreign)
			if got := grantstatus.Interrupted(e.grant(nodes)); got != tc.wantOpen || len(e.Cloud.Sent) != tc.wantSent {
				t.Errorf("%d writes were sent and the intent is open: %v; want %d and %v: %s", len(e.Cloud.Sent), got, tc.wantSent, tc.wantOpen, tc.why)
			}
			e.Cloud.OnRead = nil
			e.mustPass()
			e.wantReaders(foreign)
			e.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
		})
	}
}
