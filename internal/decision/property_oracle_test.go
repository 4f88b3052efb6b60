// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// images are the images that pods name; repository is zero where it is not
// Artifact Registry's.
var images = []struct {
	image      string
	repository imageref.Repository
}{
	{"us-central1-docker.pkg.dev/acme-prod/services/web:1", services},
	{"docker.us-central1.rep.pkg.dev/acme-prod/services/team/web", services},
	{"europe-docker.pkg.dev/acme-prod/service/web:1", imageref.Repository{Project: "acme-prod", Location: "europe", Name: "service"}},
	{"us-central1-docker.pkg.dev/acme/services/web", imageref.Repository{Project: "acme", Location: "us-central1", Name: "services"}},
	{"us-docker.pkg.dev/example.com/acme/services/web", imageref.Repository{Project: "example.com:acme", Location: "us", Name: "services"}},
	{"gcr.io/acme-prod/web", imageref.Repository{Project: "acme-prod", Location: "us", Name: "gcr.io"}},
	{"eu.gcr.io/example.com/acme/web", imageref.Repository{Project: "example.com:acme", Location: "europe", Name: "eu.gcr.io"}},
	{"us-central1-docker.pkg.dev.example.net/acme-prod/services/web", imageref.Repository{}},
	{"k8s.gcr.io/acme-prod/services", imageref.Repository{}},
	{"acme-prod/services", imageref.Repository{}},
}

// account is who pulls. The zero value is nobody.
type account struct {
	email          string
	computeDefault bool
}

var accounts = []account{
	{email: nodes},
	{email: "GKE-Nodes@acme-prod.iam.gserviceaccount.com"},
	{email: "batch@acme-prod.iam.gserviceaccount.com"},
	{email: "gke-nodes@acme.iam.gserviceaccount.com"},
	{email: "gke-nodes@x-acme-prod.iam.gserviceaccount.com"},
	{email: "123-compute@developer.gserviceaccount.com", computeDefault: true},
	{},
}

// pattern is an entry of a list, with all values of the alphabets that it covers.
type pattern struct {
	text   string
	covers []string
}

var accountPatterns = []pattern{
	{nodes, []string{nodes, accounts[1].email}},
	{"*@acme-prod.iam.gserviceaccount.com", []string{nodes, accounts[1].email, accounts[2].email}},
	{"*@developer.gserviceaccount.com", nil},
	{"123-compute@developer.gserviceaccount.com", []string{"123-compute@developer.gserviceaccount.com"}},
	{accounts[1].email, []string{nodes, accounts[1].email}},
	{accounts[2].email, []string{accounts[2].email}},
	{accounts[3].email, []string{accounts[3].email}},
	{accounts[4].email, []string{accounts[4].email}},
	{"*@acme.iam.gserviceaccount.com", []string{accounts[3].email}},
	{"*@*", nil},
	{"*", nil},
	{"", nil},
}

var projectPatterns = []pattern{
	{"acme-prod", []string{"acme-prod"}},
	{"acme", []string{"acme"}},
	{"example.com:acme", []string{"example.com:acme"}},
	{"acme*", nil},
	{"*", nil},
	{"", nil},
}

var locationPatterns = []pattern{
	{"us-central1", []string{"us-central1"}},
	{"*", []string{"us-central1", "europe", "us"}},
	{"us", []string{"us"}},
	{"europe", []string{"europe"}},
	{"us*", nil},
	{"", nil},
}

var namePatterns = []pattern{
	{"services", []string{"services"}},
	{"serv*", []string{"services", "service"}},
	{"*", []string{"services", "service", "gcr.io", "eu.gcr.io"}},
	{"services*", []string{"services"}},
	{"service", []string{"service"}},
	{"gcr.io", []string{"gcr.io"}},
	{"eu.gcr.io", []string{"eu.gcr.io"}},
	{"*ervices", nil},
	{"", nil},
}

// covered tells whether the table lets text cover value.
func covered(table []pattern, text, value string) bool {
	return slices.ContainsFunc(table, func(p pattern) bool { return p.text == text && slices.Contains(p.covers, value) })
}

var labelSets = []map[string]string{
	{"env": "prod", "tier": "web"}, {"env": "prod"}, {"env": "dev", "tier": "web"}, {"tier": ""}, {}, nil,
}

// noKey is a label key that the API server would not take: a selector with it
// makes no sense, and selects nothing.
const noKey = "no key"

// requirements are what selectors are made of; the last five make no sense.
var requirements = []metav1.LabelSelectorRequirement{
	{Key: "env", Operator: metav1.LabelSelectorOpIn, Values: []string{"prod"}},
	{Key: "env", Operator: metav1.LabelSelectorOpExists},
	{Key: "env", Operator: metav1.LabelSelectorOpIn, Values: []string{"prod", "dev"}},
	{Key: "tier", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"db"}},
	{Key: "env", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"prod"}},
	{Key: "tier", Operator: metav1.LabelSelectorOpDoesNotExist},
	{Key: "tier", Operator: metav1.LabelSelectorOpIn},
	{Key: "tier", Operator: metav1.LabelSelectorOpNotIn},
	{Key: "env", Operator: metav1.LabelSelectorOpExists, Values: []string{"prod"}},
	{Key: "env", Operator: "Maybe", Values: []string{"prod"}},
	{Key: noKey, Operator: metav1.LabelSelectorOpDoesNotExist},
}

// selected is what the API promises of a label selector.
func selected(selector *metav1.LabelSelector, set map[string]string) bool {
	if selector == nil {
		return false
	}
	for key, want := range selector.MatchLabels {
		if value, has := set[key]; !has || value != want {
			return false
		}
	}
	for _, r := range selector.MatchExpressions {
		value, has := set[r.Key]
		listed := has && slices.Contains(r.Values, value)
		holds := false
		switch r.Operator {
		case metav1.LabelSelectorOpIn:
			holds = listed
		case metav1.LabelSelectorOpNotIn:
			holds = !listed && len(r.Values) > 0
		case metav1.LabelSelectorOpExists:
			holds = has && len(r.Values) == 0
		case metav1.LabelSelectorOpDoesNotExist:
			holds = !has && len(r.Values) == 0 && r.Key != noKey
		}
		if !holds {
			return false
		}
	}
	return true
}

// field is one field of a policy, in the order in which they are asked: whether it
// lets the scene pass, and how an edit of it alone makes it do so.
type field struct {
	path   string
	passes func(v1alpha1.PullAccessPolicy, scene) bool
	open   func(*v1alpha1.PullAccessPolicy, scene)
}

var podFields = []field{
	{
		"spec.namespaceSelector",
		func(p v1alpha1.PullAccessPolicy, s scene) bool {
			return selected(p.Spec.NamespaceSelector, s.in.Pod.NamespaceLabels)
		},
		func(p *v1alpha1.PullAccessPolicy, _ scene) { p.Spec.NamespaceSelector = &metav1.LabelSelector{} },
	},
	{
		"spec.podSelector",
		func(p v1alpha1.PullAccessPolicy, s scene) bool { return selected(p.Spec.PodSelector, s.in.Pod.Labels) },
		func(p *v1alpha1.PullAccessPolicy, _ scene) { p.Spec.PodSelector = &metav1.LabelSelector{} },
	},
}

var grantFields = []field{
	{
		"spec.repositories",
		func(p v1alpha1.PullAccessPolicy, s scene) bool {
			return slices.ContainsFunc(p.Spec.Repositories, func(r v1alpha1.RepositoryPattern) bool {
				return covered(projectPatterns, r.Project, s.repository.Project) &&
					covered(locationPatterns, r.Location, s.repository.Location) && covered(namePatterns, r.Name, s.repository.Name)
			})
		},
		func(p *v1alpha1.PullAccessPolicy, s scene) {
			p.Spec.Repositories = []v1alpha1.RepositoryPattern{{Project: s.repository.Project, Location: s.repository.Location, Name: s.repository.Name}}
		},
	},
	{
		"spec.nodeServiceAccounts",
		func(p v1alpha1.PullAccessPolicy, s scene) bool {
			return slices.ContainsFunc(p.Spec.NodeServiceAccounts, func(text string) bool { return covered(accountPatterns, text, s.account.email) })
		},
		func(p *v1alpha1.PullAccessPolicy, s scene) { p.Spec.NodeServiceAccounts = []string{s.account.email} },
	},
	{
		"spec.computeDefaultServiceAccount",
		func(p v1alpha1.PullAccessPolicy, s scene) bool {
			return !s.account.computeDefault || p.Spec.ComputeDefaultServiceAccount == "Allow"
		},
		func(p *v1alpha1.PullAccessPolicy, _ scene) { p.Spec.ComputeDefaultServiceAccount = "Allow" },
	},
	{
		"spec.virtualRepositories",
		func(p v1alpha1.PullAccessPolicy, s scene) bool {
			return !s.virtual || p.Spec.VirtualRepositories == "Allow"
		},
		func(p *v1alpha1.PullAccessPolicy, _ scene) { p.Spec.VirtualRepositories = "Allow" },
	},
}

var forceFields = []field{
	{
		"metadata",
		func(p v1alpha1.PullAccessPolicy, _ scene) bool { return p.DeletionTimestamp == nil },
		func(p *v1alpha1.PullAccessPolicy, _ scene) { p.DeletionTimestamp = nil },
	},
	{
		"spec.pause",
		func(p v1alpha1.PullAccessPolicy, _ scene) bool { return p.Spec.Pause == nil },
		func(p *v1alpha1.PullAccessPolicy, _ scene) { p.Spec.Pause = nil },
	},
	{
		"spec.mode",
		func(p v1alpha1.PullAccessPolicy, _ scene) bool {
			return p.Spec.Mode == "Enforce" || p.Spec.Mode == "Approve"
		},
		func(p *v1alpha1.PullAccessPolicy, _ scene) { p.Spec.Mode = "Enforce" },
	},
}

var allFields = slices.Concat(podFields, grantFields, forceFields)

// reach is the index of the first field that refuses, len(fields) if none does.
func reach(fields []field, p v1alpha1.PullAccessPolicy, s scene) int {
	for i, f := range fields {
		if !f.passes(p, s) {
			return i
		}
	}
	return len(fields)
}

func allPass(fields []field, p v1alpha1.PullAccessPolicy, s scene) bool {
	return reach(fields, p, s) == len(fields)
}
