// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"fmt"
	"math/rand/v2"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const nodes = "gke-nodes@acme-prod.iam.gserviceaccount.com"

var services = imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "services"}

// helps is a diagnosis that only lacks a policy.
func helps(edit ...func(*diagnosis.Diagnosis)) diagnosis.Diagnosis {
	d := diagnosis.Diagnosis{Reason: diagnosis.AccessMissing, Help: diagnosis.HelpYes, Sentence: "No access."}
	d.Facts.Reference.Repository = services
	d.Facts.Puller = diagnosis.Puller{State: diagnosis.Present, Email: nodes}
	d.Facts.Repository = diagnosis.Repository{State: diagnosis.Present, Mode: "STANDARD_REPOSITORY"}
	for _, e := range edit {
		e(&d)
	}
	return d
}

// allows is a policy that allows what helps needs.
func allows(name string, edit ...func(*v1alpha1.PullAccessPolicySpec)) v1alpha1.PullAccessPolicy {
	p := v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.PullAccessPolicySpec{
		Mode:                v1alpha1.ModeEnforce,
		NamespaceSelector:   &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}},
		PodSelector:         &metav1.LabelSelector{},
		Repositories:        []v1alpha1.RepositoryPattern{{Project: "acme-prod", Location: "us-central1", Name: "services"}},
		NodeServiceAccounts: []string{nodes},
	}}
	for _, e := range edit {
		e(&p.Spec)
	}
	return p
}

var pod = Pod{Namespace: "shop", NamespaceLabels: map[string]string{"env": "prod"}, Labels: map[string]string{"app": "web"}}

func TestDecide(t *testing.T) {
	type spec = v1alpha1.PullAccessPolicySpec
	computeDefault := func(d *diagnosis.Diagnosis) {
		d.Facts.Puller.Email = "123456789-compute@developer.gserviceaccount.com"
	}
	listsDefault := func(s *spec) { s.NodeServiceAccounts = []string{"123456789-compute@developer.gserviceaccount.com"} }
	virtual := func(d *diagnosis.Diagnosis) { d.Facts.Repository.Mode = "VIRTUAL_REPOSITORY" }
	tests := map[string]struct {
		diagnosis  diagnosis.Diagnosis
		policies   []v1alpha1.PullAccessPolicy
		wantPolicy string
		wantReason string
		wantField  string
		why        string
	}{
		"zero input":    {wantReason: "", why: "the zero diagnosis helps nobody"},
		"no policy":     {diagnosis: helps(), wantReason: ReasonNoPolicy},
		"allowed":       {diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p")}, wantPolicy: "p"},
		"grant no help": {diagnosis: helps(func(d *diagnosis.Diagnosis) { d.Help = diagnosis.HelpNo }), policies: []v1alpha1.PullAccessPolicy{allows("p")}, wantReason: "AccessMissing"},
		"help unknown":  {diagnosis: helps(func(d *diagnosis.Diagnosis) { d.Help = diagnosis.HelpUnknown }), policies: []v1alpha1.PullAccessPolicy{allows("p")}, wantReason: "AccessMissing"},
		"zero policy":   {diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{{}}, wantReason: ReasonNamespaceNotSelected, wantField: "spec.namespaceSelector"},
		"zero mode":     {diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.Mode = "" })}, wantReason: v1alpha1.ReasonDryRun, wantField: "spec.mode"},
		"dry run":       {diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.Mode = v1alpha1.ModeDryRun })}, wantReason: v1alpha1.ReasonDryRun, wantField: "spec.mode"},
		"unknown mode":  {diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.Mode = "Yolo" })}, wantReason: v1alpha1.ReasonDryRun, wantField: "spec.mode"},
		"no pod selector": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.PodSelector = nil })},
			wantReason: ReasonPodNotSelected, wantField: "spec.podSelector", why: "the API server's default is an empty selector; none at all selects nothing",
		},
		"broken selector": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) {
				s.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "env", Operator: "Maybe"}}
			})},
			wantReason: ReasonNamespaceNotSelected, wantField: "spec.namespaceSelector",
		},
		"other namespace": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.NamespaceSelector.MatchLabels["env"] = "dev" })},
			wantReason: ReasonNamespaceNotSelected, wantField: "spec.namespaceSelector",
		},
		"other pod": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.PodSelector.MatchLabels = map[string]string{"app": "db"} })},
			wantReason: ReasonPodNotSelected, wantField: "spec.podSelector",
		},
		"other repository": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.Repositories[0].Name = "service" })},
			wantReason: ReasonRepositoryNotListed, wantField: "spec.repositories", why: "a name is not a beginning",
		},
		"other project": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.Repositories[0].Project = "acme" })},
			wantReason: ReasonRepositoryNotListed, wantField: "spec.repositories",
		},
		"project wildcard": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.Repositories[0].Project = "*" })},
			wantReason: ReasonRepositoryNotListed, wantField: "spec.repositories", why: "the CRD refuses it, and so does this",
		},
		"wildcards": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) {
				s.Repositories = []v1alpha1.RepositoryPattern{{Project: "acme-prod", Location: "*", Name: "serv*"}}
				s.NodeServiceAccounts = []string{"*@acme-prod.iam.gserviceaccount.com"}
			})},
			wantPolicy: "p",
		},
		"other account": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.NodeServiceAccounts = []string{"other@acme-prod.iam.gserviceaccount.com"} })},
			wantReason: ReasonServiceAccountNotListed, wantField: "spec.nodeServiceAccounts",
		},
		"wildcard of another project": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.NodeServiceAccounts = []string{"*@prod.iam.gserviceaccount.com"} })},
			wantReason: ReasonServiceAccountNotListed, wantField: "spec.nodeServiceAccounts",
		},
		"wildcard of all accounts": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.NodeServiceAccounts = []string{"*", "*@*", "allUsers"} })},
			wantReason: ReasonServiceAccountNotListed, wantField: "spec.nodeServiceAccounts",
		},
		"compute default, listed": {
			diagnosis: helps(computeDefault), policies: []v1alpha1.PullAccessPolicy{allows("p", listsDefault)},
			wantReason: ReasonComputeDefaultServiceAccount, wantField: "spec.computeDefaultServiceAccount",
		},
		"compute default, allowed": {
			diagnosis:  helps(computeDefault),
			policies:   []v1alpha1.PullAccessPolicy{allows("p", listsDefault, func(s *spec) { s.ComputeDefaultServiceAccount = v1alpha1.Allow })},
			wantPolicy: "p",
		},
		"compute default, allowed and not listed": {
			diagnosis:  helps(computeDefault),
			policies:   []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.ComputeDefaultServiceAccount = v1alpha1.Allow })},
			wantReason: ReasonServiceAccountNotListed, wantField: "spec.nodeServiceAccounts",
		},
		"virtual": {diagnosis: helps(virtual), policies: []v1alpha1.PullAccessPolicy{allows("p")}, wantReason: ReasonVirtualRepository, wantField: "spec.virtualRepositories"},
		"virtual, allowed": {
			diagnosis: helps(virtual),
			policies:  []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.VirtualRepositories = v1alpha1.Allow })}, wantPolicy: "p",
		},
		"two that each allow half": {
			diagnosis: helps(),
			policies: []v1alpha1.PullAccessPolicy{
				allows("a", func(s *spec) { s.Repositories[0].Name = "other" }),
				allows("b", func(s *spec) { s.NodeServiceAccounts = []string{"other@acme-prod.iam.gserviceaccount.com"} }),
			},
			wantReason: ReasonServiceAccountNotListed, wantField: "spec.nodeServiceAccounts", why: "policies do not add up; b came closer",
		},
		"one of two allows": {
			diagnosis:  helps(),
			policies:   []v1alpha1.PullAccessPolicy{allows("a", func(s *spec) { s.Mode = v1alpha1.ModeDryRun }), allows("b")},
			wantPolicy: "b", why: "the strictest mode does not narrow another's allow-list",
		},
		"approve": {
			diagnosis:  helps(),
			policies:   []v1alpha1.PullAccessPolicy{allows("a", func(s *spec) { s.Mode = v1alpha1.ModeDryRun }), allows("b", func(s *spec) { s.Mode = v1alpha1.ModeApprove })},
			wantPolicy: "b",
		},
		"enforce outranks approve": {
			diagnosis:  helps(),
			policies:   []v1alpha1.PullAccessPolicy{allows("a", func(s *spec) { s.Mode = v1alpha1.ModeApprove }), allows("b")},
			wantPolicy: "b", why: "any one that allows suffices, and it asks nobody",
		},
		"paused": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{allows("p", func(s *spec) { s.Pause = &v1alpha1.PauseSpec{} })},
			wantReason: v1alpha1.ReasonPaused, wantField: "spec.pause",
		},
		"being deleted": {
			diagnosis: helps(), policies: []v1alpha1.PullAccessPolicy{func() v1alpha1.PullAccessPolicy {
				p := allows("p")
				p.DeletionTimestamp = &metav1.Time{}
				return p
			}()},
			wantReason: v1alpha1.ReasonPolicyGone, wantField: "metadata",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			grant, refusal := Decide(Input{Pod: pod, Diagnosis: tc.diagnosis, Policies: tc.policies})
			if (grant == nil) == (refusal == nil) {
				t.Fatalf("Decide = %v, %v: want exactly one", grant, refusal)
			}
			if tc.wantPolicy != "" {
				if grant == nil || grant.Policy() != tc.wantPolicy || grant.Repository() != services || grant.Member() != "serviceAccount:"+tc.diagnosis.Facts.Puller.Email {
					t.Errorf("Decide = %+v, %+v; want a grant by %s (%s)", grant, refusal, tc.wantPolicy, tc.why)
				}
				return
			}
			if grant != nil {
				t.Fatalf("Decide granted %+v (%s)", grant, tc.why)
			}
			if refusal.Reason != tc.wantReason || refusal.Field != tc.wantField {
				t.Errorf("refused for %q by field %q, want %q and %q (%s)", refusal.Reason, refusal.Field, tc.wantReason, tc.wantField, tc.why)
			}
		})
	}
}

// TestDecideStaysInside tries random policies: nothing is granted that the policy
// named by the grant does not list, and more policies never permit less.
func TestDecideStaysInside(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	pick := func(options ...string) string { return options[random.IntN(len(options))] }
	grants := 0
	for range 5000 {
		var policies []v1alpha1.PullAccessPolicy
		for i := range random.IntN(4) {
			policies = append(policies, allows(fmt.Sprint(i), func(s *v1alpha1.PullAccessPolicySpec) {
				s.Mode = v1alpha1.PolicyMode(pick("Enforce", "DryRun", ""))
				s.NamespaceSelector.MatchLabels["env"] = pick("prod", "dev")
				s.Repositories[0] = v1alpha1.RepositoryPattern{Project: pick("acme-prod", "acme"), Location: pick("us-central1", "*", "us"), Name: pick("services", "s*", "*", "other")}
				s.NodeServiceAccounts[0] = pick(nodes, "*@acme-prod.iam.gserviceaccount.com", "x@acme-prod.iam.gserviceaccount.com")
			}))
		}
		in := Input{Pod: pod, Diagnosis: helps(), Policies: policies}
		grant, _ := Decide(in)
		if grant == nil {
			continue
		}
		grants++
		var by *v1alpha1.PullAccessPolicy
		for i := range policies {
			if policies[i].Name == grant.Policy() {
				by = &policies[i]
			}
		}
		if by == nil || by.Spec.Mode != v1alpha1.ModeEnforce || by.Spec.NamespaceSelector.MatchLabels["env"] != "prod" ||
			by.Spec.Repositories[0].Project != "acme-prod" || by.Spec.Repositories[0].Location == "us" || by.Spec.Repositories[0].Name == "other" ||
			by.Spec.NodeServiceAccounts[0] == "x@acme-prod.iam.gserviceaccount.com" {
			t.Fatalf("granted by %+v, which does not allow it", by)
		}
		if !Permits(by, grant.Repository(), false, grant.Member()) || !Covers(by, pod) {
			t.Fatalf("Decide and Permits or Covers disagree on %+v", by)
		}
		in.Policies = append([]v1alpha1.PullAccessPolicy{allows("z", func(s *v1alpha1.PullAccessPolicySpec) { s.Mode = "" })}, policies...)
		if again, _ := Decide(in); again == nil {
			t.Fatal("one more policy took a permission away")
		}
	}
	if grants == 0 {
		t.Fatal("no random policy allowed anything: the test is empty")
	}
}

func TestPermits(t *testing.T) {
	policies := []v1alpha1.PullAccessPolicy{allows("p")}
	tests := map[string]struct {
		policies []v1alpha1.PullAccessPolicy
		virtual  bool
		member   string
		want     bool
	}{
		"allowed":     {policies, false, "serviceAccount:" + nodes, true},
		"no policy":   {nil, false, "serviceAccount:" + nodes, false},
		"a user":      {policies, false, "user:" + nodes, false},
		"allUsers":    {policies, false, "allUsers", false},
		"nobody":      {policies, false, "serviceAccount:", false},
		"virtual":     {policies, true, "serviceAccount:" + nodes, false},
		"approve":     {[]v1alpha1.PullAccessPolicy{allows("p", func(s *v1alpha1.PullAccessPolicySpec) { s.Mode = v1alpha1.ModeApprove })}, false, "serviceAccount:" + nodes, true},
		"paused":      {[]v1alpha1.PullAccessPolicy{allows("p", func(s *v1alpha1.PullAccessPolicySpec) { s.Pause = &v1alpha1.PauseSpec{} })}, false, "serviceAccount:" + nodes, false},
		"dry run now": {[]v1alpha1.PullAccessPolicy{allows("p", func(s *v1alpha1.PullAccessPolicySpec) { s.Mode = v1alpha1.ModeDryRun })}, false, "serviceAccount:" + nodes, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := permitted(tc.policies, services, tc.virtual, tc.member); got != tc.want {
				t.Errorf("Permits = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestGrantName(t *testing.T) {
	name := GrantName(services, "serviceAccount:"+nodes)
	if name != GrantName(services, "serviceAccount:GKE-nodes@acme-prod.iam.gserviceaccount.com") {
		t.Error("the same account in another case has another name")
	}
	for _, other := range []string{
		GrantName(imageref.Repository{Project: "acme-prod", Location: "us", Name: "services"}, "serviceAccount:"+nodes),
		GrantName(imageref.Repository{Project: "acme", Location: "us-central1", Name: "services"}, "serviceAccount:"+nodes),
		GrantName(services, "serviceAccount:gke-nodes@acme.iam.gserviceaccount.com"),
	} {
		if other == name {
			t.Errorf("two grants share the name %s", name)
		}
	}
}

// TestOmittedNamespaceLabelsAreDenied: a selector may ask for the absence of a label, so no
// selector matches labels that are not known.
func TestOmittedNamespaceLabelsAreDenied(t *testing.T) {
	for name, selector := range map[string]*metav1.LabelSelector{
		"all":         {},
		"absence":     {MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "env", Operator: metav1.LabelSelectorOpDoesNotExist}}},
		"not the dev": {MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "env", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"dev"}}}},
	} {
		policy := allows("p", func(s *v1alpha1.PullAccessPolicySpec) { s.NamespaceSelector = selector })
		in := Input{Diagnosis: helps(), Pod: Pod{Namespace: "shop", Labels: pod.Labels}, Policies: []v1alpha1.PullAccessPolicy{policy}}
		if grant, _ := Decide(in); grant == nil || !Covers(&policy, in.Pod) {
			t.Fatalf("%s: a namespace without labels is denied: the test shows nothing", name)
		}
		in.Pod.NamespaceLabelsOmitted = true
		grant, refusal := Decide(in)
		if grant != nil || Covers(&policy, in.Pod) {
			t.Errorf("%s: a namespace whose labels are not known is selected", name)
			continue
		}
		const want = "Policy p does not allow the grant: it cannot select namespace shop, because the labels of the namespace are larger than 8 KB (spec.namespaceSelector)."
		if refusal.Reason != ReasonNamespaceNotSelected || refusal.Why != want {
			t.Errorf("%s: %s: %s; want %s", name, refusal.Reason, refusal.Why, want)
		}
	}
}
