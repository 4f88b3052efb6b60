// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// scene is one drawn input, with what is true of it by the tables.
type scene struct {
	in         Input
	repository imageref.Repository
	account    account
	virtual    bool
}

// with is the scene under other policies.
func (s scene) with(policies ...v1alpha1.PullAccessPolicy) scene {
	s.in.Policies = policies
	return s
}

// policy is the one that has this name; it fails when none of the list has.
func (s scene) policy(t *rapid.T, name string) v1alpha1.PullAccessPolicy {
	t.Helper()
	i := slices.IndexFunc(s.in.Policies, func(p v1alpha1.PullAccessPolicy) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("the decision names policy %q, which is none of the list", name)
	}
	return s.in.Policies[i]
}

// permits asks Permits about the scene, as the grant controller does.
func (s scene) permits() bool {
	return permitted(s.in.Policies, s.repository, s.virtual, v1alpha1.ServiceAccountMember(s.account.email))
}

func permitted(policies []v1alpha1.PullAccessPolicy, repository imageref.Repository, virtual bool, member string) bool {
	return slices.ContainsFunc(policies, func(p v1alpha1.PullAccessPolicy) bool {
		return Permits(&p, repository, virtual, member)
	})
}

// mostly draws of the first n values more often than of all the others, so that
// values meet and grants are made.
func mostly[E any](n int, of []E) *rapid.Generator[E] {
	likely := rapid.SampledFrom(of[:n])
	return rapid.OneOf(likely, likely, rapid.SampledFrom(of))
}

func drawScene(t *rapid.T) scene {
	named := rapid.SampledFrom(images).Draw(t, "image")
	s := scene{
		repository: named.repository,
		account:    rapid.SampledFrom(accounts).Draw(t, "account"),
		virtual:    mostly(1, []bool{false, true}).Draw(t, "virtual"),
	}
	reference, err := imageref.Parse(named.image)
	if err != nil {
		t.Fatal(err)
	}
	d := diagnosis.Diagnosis{
		Reason:   rapid.SampledFrom([]diagnosis.Reason{diagnosis.AccessMissing, diagnosis.WaitingForPropagation}).Draw(t, "reason"),
		Help:     mostly(1, []diagnosis.Help{diagnosis.HelpYes, diagnosis.HelpNo, diagnosis.HelpUnknown, "yes"}).Draw(t, "help"),
		Sentence: "No access.",
	}
	d.Facts.Reference = reference
	d.Facts.Puller = diagnosis.Puller{State: diagnosis.Present, Email: s.account.email}
	d.Facts.Repository = diagnosis.Repository{State: diagnosis.Present, Mode: "STANDARD_REPOSITORY"}
	if s.virtual {
		d.Facts.Repository.Mode = "VIRTUAL_REPOSITORY"
	}
	s.in = Input{Diagnosis: d, Pod: Pod{
		Namespace:       "shop",
		NamespaceLabels: rapid.SampledFrom(labelSets).Draw(t, "namespace labels"),
		Labels:          rapid.SampledFrom(labelSets).Draw(t, "pod labels"),
	}}
	// Names are not in the order of the list: nothing may rest on it.
	for _, name := range rapid.Permutation([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "names")[:rapid.IntRange(0, 6).Draw(t, "policies")] {
		s.in.Policies = append(s.in.Policies, drawPolicy(t, s, name))
	}
	return s
}

// drawPolicy lists what the scene needs more often than not, among other entries.
func drawPolicy(t *rapid.T, s scene, name string) v1alpha1.PullAccessPolicy {
	label := func(of string) string { return "policy " + name + ": " + of }
	var p v1alpha1.PullAccessPolicy
	p.Name = name
	if mostly(1, []bool{false, true}).Draw(t, label("being deleted")) {
		p.DeletionTimestamp = &metav1.Time{}
	}
	p.Spec = v1alpha1.PullAccessPolicySpec{
		Mode:              mostly(2, []v1alpha1.PolicyMode{"Enforce", "Approve", "DryRun", "", "enforce"}).Draw(t, label("mode")),
		NamespaceSelector: drawSelector(t, label("namespaceSelector")),
		PodSelector:       drawSelector(t, label("podSelector")),
	}
	if mostly(1, []bool{false, true}).Draw(t, label("paused")) {
		p.Spec.Pause = &v1alpha1.PauseSpec{Reason: "freeze"}
	}
	switches := rapid.SampledFrom([]v1alpha1.AllowDeny{"Allow", "Deny", "", "allow"})
	p.Spec.ComputeDefaultServiceAccount = switches.Draw(t, label("computeDefaultServiceAccount"))
	p.Spec.VirtualRepositories = switches.Draw(t, label("virtualRepositories"))
	text := func(of string, table []pattern) string { return rapid.SampledFrom(table).Draw(t, label(of)).text }
	for range rapid.IntRange(0, 2).Draw(t, label("other repositories")) {
		p.Spec.Repositories = append(p.Spec.Repositories, v1alpha1.RepositoryPattern{
			Project: text("project", projectPatterns), Location: text("location", locationPatterns), Name: text("name", namePatterns),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, label("other accounts")) {
		p.Spec.NodeServiceAccounts = append(p.Spec.NodeServiceAccounts, text("account", accountPatterns))
	}
	needed := mostly(1, []bool{true, false})
	if needed.Draw(t, label("lists the repository")) {
		p.Spec.Repositories = append(p.Spec.Repositories, v1alpha1.RepositoryPattern{Project: s.repository.Project, Location: s.repository.Location, Name: s.repository.Name})
	}
	if needed.Draw(t, label("lists the account")) {
		p.Spec.NodeServiceAccounts = append(p.Spec.NodeServiceAccounts, s.account.email)
	}
	return p
}

func drawSelector(t *rapid.T, label string) *metav1.LabelSelector {
	switch mostly(2, []string{"empty", "labels", "expressions", "both", "nil"}).Draw(t, label) {
	case "nil":
		return nil
	case "labels":
		return &metav1.LabelSelector{MatchLabels: rapid.SampledFrom(labelSets).Draw(t, label)}
	case "expressions":
		return &metav1.LabelSelector{MatchExpressions: rapid.SliceOfN(rapid.SampledFrom(requirements), 1, 2).Draw(t, label)}
	case "both":
		return &metav1.LabelSelector{
			MatchLabels:      rapid.SampledFrom(labelSets).Draw(t, label),
			MatchExpressions: rapid.SliceOfN(rapid.SampledFrom(requirements), 1, 1).Draw(t, label),
		}
	}
	return &metav1.LabelSelector{}
}
