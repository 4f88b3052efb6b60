// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explanation

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

const (
	image   = "us-central1-docker.pkg.dev/acme-prod/services/checkout:1.8.2"
	account = "gke-nodes@acme-prod.iam.gserviceaccount.com"
	member  = "serviceAccount:" + account
	inFull  = "acme-prod/us-central1/services"
)

var (
	start      = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	repository = imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "services"}
	name       = decision.GrantName(repository, member)
	showGrant  = "kubectl pullaccess grants " + name
)

// diagnosed is the diagnosis of a denied pull that a grant heals, after the edits.
func diagnosed(edits ...func(*diagnosis.Facts)) diagnosis.Diagnosis {
	f := diagnosis.Facts{
		Cause:     pullfailure.Classify(pullfailure.Text{Image: image, Reason: "ErrImagePull", Message: `failed to pull and unpack image "` + image + `": failed to authorize: failed to fetch oauth token: unexpected status: 403 Forbidden`}),
		Namespace: "shop", Pod: "web", Image: image,
		Puller: diagnosis.Puller{
			State: diagnosis.Present, Email: account, Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"},
			Node: "node-1", Federated: diagnosis.Missing,
		},
		Repository: diagnosis.Repository{State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY", RegistryURI: "us-central1-docker.pkg.dev/acme-prod/services"},
		Access:     diagnosis.Access{State: diagnosis.Missing},
	}
	f.Reference, f.ReferenceErr = imageref.Parse(image)
	for _, edit := range edits {
		edit(&f)
	}
	return diagnosis.Diagnose(f)
}

func propagates(f *diagnosis.Facts) { f.Access.State, f.OwnGrant = diagnosis.Present, name }
func hasAccess(f *diagnosis.Facts)  { f.Access.State = diagnosis.Present }
func wasRemoved(f *diagnosis.Facts) { f.OwnGrant = name }
func notRead(f *diagnosis.Facts) {
	f.Puller, f.Repository = diagnosis.Puller{}, diagnosis.Repository{}
}

func unavailable(f *diagnosis.Facts) {
	f.Repository = diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unavailable, Detail: "Google did not answer"}}
}

// policyOf is a policy that allows everything, after the edits.
func policyOf(edits ...func(*v1alpha1.PullAccessPolicy)) v1alpha1.PullAccessPolicy {
	p := v1alpha1.PullAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "prod"},
		Spec: v1alpha1.PullAccessPolicySpec{
			Mode: v1alpha1.ModeEnforce, NamespaceSelector: &metav1.LabelSelector{}, PodSelector: &metav1.LabelSelector{},
			Repositories:        []v1alpha1.RepositoryPattern{{Project: "acme-prod", Location: "*", Name: "*"}},
			NodeServiceAccounts: []string{account},
		},
	}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

func asks(p *v1alpha1.PullAccessPolicy)     { p.Spec.Mode = v1alpha1.ModeApprove }
func narrowed(p *v1alpha1.PullAccessPolicy) { p.Spec.Repositories = nil }

// decided is the input for the diagnosis under the policies.
func decided(d diagnosis.Diagnosis, policies ...v1alpha1.PullAccessPolicy) Input {
	in := Input{Diagnosis: d, Created: start.Add(-time.Hour), Now: start.Add(time.Minute)}
	in.Grant, in.Refusal = decision.Decide(decision.Input{Pod: decision.Pod{Namespace: "shop"}, Diagnosis: d, Policies: policies})
	return in
}

// unknown is the input of somebody who read no policies.
func unknown(d diagnosis.Diagnosis) Input { return Input{Diagnosis: d, Now: start.Add(time.Minute)} }

// recorded adds a record to the input.
func recorded(in Input, edits ...func(*v1alpha1.PullAccessGrant)) Input {
	in.Record = &v1alpha1.PullAccessGrant{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.PullAccessGrantSpec{Repository: repository.Record(), Member: member},
		Status:     v1alpha1.PullAccessGrantStatus{Policy: "prod"},
	}
	for _, edit := range edits {
		edit(in.Record)
	}
	return in
}

func proposed(g *v1alpha1.PullAccessGrant) {
	p := policyOf(asks)
	grantstatus.Propose(g, &p, start)
}

func granted(g *v1alpha1.PullAccessGrant) { grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start) }

func found(g *v1alpha1.PullAccessGrant) { grantstatus.Grant(g, v1alpha1.OriginFound, "etag", start) }

func grantedLongAgo(g *v1alpha1.PullAccessGrant) {
	grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start.Add(-time.Hour))
}
func ineffective(g *v1alpha1.PullAccessGrant) { grantstatus.MarkIneffective(g, start) }
func deleted(g *v1alpha1.PullAccessGrant)     { g.DeletionTimestamp = &metav1.Time{Time: start} }

func reviewed(d v1alpha1.ReviewDecision) func(*v1alpha1.PullAccessGrant) {
	return func(g *v1alpha1.PullAccessGrant) {
		g.Status.Review = &v1alpha1.Review{Decision: d, User: "ann@example.com", Reason: "ticket 7"}
	}
}

func ended(reason v1alpha1.EndReason) func(*v1alpha1.PullAccessGrant) {
	return func(g *v1alpha1.PullAccessGrant) { grantstatus.End(g, reason, start) }
}

func refused(status metav1.ConditionStatus, reason string) func(*v1alpha1.PullAccessGrant) {
	return func(g *v1alpha1.PullAccessGrant) { grantstatus.Refuse(g, status, reason, "Why it is so.", true) }
}

// answerCase is one answer: reason, actor, next step, and words of the sentence.
type answerCase struct {
	in     Input
	reason string
	actor  diagnosis.Actor
	next   string
	says   []string
	why    string
}

func check(t *testing.T, tests map[string]answerCase) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Of(tc.in)
			want := Explanation{Reason: tc.reason, Actor: tc.actor, NextStep: tc.next, Help: got.Help, Sentence: got.Sentence, Page: page(tc.reason)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("explanation (-want +got), %s:\n%s", tc.why, diff)
			}
			for _, words := range tc.says {
				if !strings.Contains(got.Sentence, words) {
					t.Errorf("it says %q, want %q (%s)", got.Sentence, words, tc.why)
				}
			}
			if got.Sentence == "" || strings.Contains(got.Sentence, "  ") {
				t.Errorf("it says %q", got.Sentence)
			}
			if !strings.Contains(strings.Join(Reasons(), " "), got.Reason) {
				t.Errorf("%s is not in Reasons", got.Reason)
			}
		})
	}
}

const bypass = "gcloud artifacts repositories add-iam-policy-binding services --project=acme-prod --location=us-central1 --member=" + member +
	" --role=roles/artifactregistry.reader"

// TestPolicies: a denial names the policy, and its next step never grants the access.
func TestPolicies(t *testing.T) {
	const edit = "kubectl edit pullaccesspolicy prod"
	denied := diagnosed()
	under := func(edits ...func(*v1alpha1.PullAccessPolicy)) Input { return decided(denied, policyOf(edits...)) }
	hostile := func(p *v1alpha1.PullAccessPolicy) { p.Name, p.Spec.Repositories = "x; reboot", nil }
	tooLarge := decision.Input{Pod: decision.Pod{Namespace: "shop", NamespaceLabelsOmitted: true}, Diagnosis: denied, Policies: []v1alpha1.PullAccessPolicy{policyOf()}}
	_, refusal := decision.Decide(tooLarge)
	check(t, map[string]answerCase{
		"no policy": {decided(denied), decision.ReasonNoPolicy, diagnosis.PlatformTeam, bypass, []string{account, inFull}, "nothing refuses it"},
		"namespace": {
			under(func(p *v1alpha1.PullAccessPolicy) { p.Spec.NamespaceSelector = nil }),
			decision.ReasonNamespaceNotSelected, diagnosis.PlatformTeam, edit,
			[]string{"Policy prod", "spec.namespaceSelector"},
			"",
		},
		"labels too large": {
			Input{Diagnosis: denied, Refusal: refusal},
			decision.ReasonNamespaceNotSelected, diagnosis.PlatformTeam,
			"kubectl edit namespace shop",
			[]string{"8 KB"},
			"no policy can select it",
		},
		"pod": {
			under(func(p *v1alpha1.PullAccessPolicy) { p.Spec.PodSelector = nil }),
			decision.ReasonPodNotSelected, diagnosis.PlatformTeam, edit,
			[]string{"spec.podSelector"},
			"",
		},
		"repository": {under(narrowed), decision.ReasonRepositoryNotListed, diagnosis.PlatformTeam, edit, []string{"spec.repositories", inFull}, ""},
		"account": {
			under(func(p *v1alpha1.PullAccessPolicy) { p.Spec.NodeServiceAccounts = nil }),
			decision.ReasonServiceAccountNotListed, diagnosis.PlatformTeam, edit,
			[]string{"spec.nodeServiceAccounts", account},
			"",
		},
		"virtual": {
			decided(diagnosed(func(f *diagnosis.Facts) { f.Repository.Mode = "VIRTUAL_REPOSITORY" }), policyOf()),
			decision.ReasonVirtualRepository, diagnosis.PlatformTeam, edit,
			[]string{"spec.virtualRepositories"},
			"",
		},
		"compute default": {
			decided(diagnosed(func(f *diagnosis.Facts) { f.Puller.Email = "7-compute@developer.gserviceaccount.com" }),
				policyOf(func(p *v1alpha1.PullAccessPolicy) {
					p.Spec.NodeServiceAccounts = []string{"7-compute@developer.gserviceaccount.com"}
				})),
			decision.ReasonComputeDefaultServiceAccount, diagnosis.PlatformTeam, edit,
			[]string{"spec.computeDefaultServiceAccount"},
			"",
		},
		"being deleted": {
			under(func(p *v1alpha1.PullAccessPolicy) { p.DeletionTimestamp = &metav1.Time{Time: start} }),
			v1alpha1.ReasonPolicyGone, diagnosis.PlatformTeam, "kubectl get pullaccesspolicies",
			[]string{"being deleted"},
			"it cannot be edited",
		},
		"paused": {
			under(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Pause = &v1alpha1.PauseSpec{Reason: "freeze"} }),
			v1alpha1.ReasonPaused, diagnosis.PlatformTeam, "kubectl pullaccess resume prod",
			[]string{"spec.pause"},
			"",
		},
		"dry run": {
			under(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeDryRun }), v1alpha1.ReasonDryRun, diagnosis.PlatformTeam,
			`kubectl patch pullaccesspolicy prod --type=merge --patch='{"spec":{"mode":"Enforce"}}'`,
			[]string{"spec.mode"},
			"",
		},
		"no name": {under(hostile), decision.ReasonRepositoryNotListed, diagnosis.PlatformTeam, "", nil, "a shell runs the command"},
	})
}

// TestDiagnoses: what no policy decides is explained as it was diagnosed.
func TestDiagnoses(t *testing.T) {
	scopes := diagnosed(func(f *diagnosis.Facts) { f.Puller.Scopes = nil })
	check(t, map[string]answerCase{
		"nothing fails":   {decided(diagnosis.Diagnose(diagnosis.Facts{})), "NotPullFailure", diagnosis.Nobody, "", nil, ""},
		"no grant helps":  {decided(scopes, policyOf()), "ScopesMissing", diagnosis.PlatformTeam, scopes.Command, []string{scopes.Sentence}, ""},
		"policies unread": {unknown(diagnosed()), "AccessMissing", diagnosis.PlatformTeam, bypass, nil, "nobody can say that the operator acts"},
		"propagates":      {unknown(diagnosed(propagates)), propagating, diagnosis.Nobody, "kubectl describe pullaccessgrant " + name, nil, ""},
		"and not covered": {decided(diagnosed(propagates)), propagating, diagnosis.Nobody, "kubectl describe pullaccessgrant " + name, []string{"covers this pod"}, ""},
		"allowed":         {decided(diagnosed(), policyOf()), requested, diagnosis.Operator, showGrant, []string{account, inFull, "policy prod"}, "the operator is about to request it"},
		"allowed, to be approved": {
			decided(diagnosed(), policyOf(asks)), waits, diagnosis.PlatformTeam, "kubectl pullaccess approve " + name, []string{account, inFull, "policy prod"}, "",
		},
	})
}
