// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

func TestListsRepository(t *testing.T) {
	policy := &v1alpha1.PullAccessPolicy{Spec: v1alpha1.PullAccessPolicySpec{
		Repositories: []v1alpha1.RepositoryPattern{{Project: "acme", Location: "*", Name: "team-*"}, {Project: "acme", Location: "us", Name: "services"}},
	}}
	for repository, want := range map[imageref.Repository]bool{
		{Project: "acme", Location: "us", Name: "services"}: true, {Project: "acme", Location: "eu", Name: "services"}: false,
		{Project: "acme", Location: "eu", Name: "team-a"}: true, {Project: "other", Location: "us", Name: "services"}: false, {}: false,
	} {
		if got := ListsRepository(policy, repository); got != want {
			t.Errorf("%s is listed: %v, want %v", repository, got, want)
		}
	}
}

// TestListsAccount checks that a wildcard matches all accounts of exactly one project. An email that only ends the
// same way belongs to another project.
func TestListsAccount(t *testing.T) {
	const wildcard = "*@acme.iam.gserviceaccount.com"
	for name, tc := range map[string]struct {
		pattern, email string
		want           bool
	}{
		"account of the project":            {wildcard, "nodes@acme.iam.gserviceaccount.com", true},
		"capital letters":                   {wildcard, "Nodes@ACME.iam.gserviceaccount.com", true},
		"another project":                   {wildcard, "nodes@other.iam.gserviceaccount.com", false},
		"project whose name ends like it":   {wildcard, "nodes@evil-acme.iam.gserviceaccount.com", false},
		"project of a domain":               {wildcard, "nodes@evil.acme.iam.gserviceaccount.com", false},
		"second @":                          {wildcard, "nodes@evil.example@acme.iam.gserviceaccount.com", false},
		"project whose name begins like it": {wildcard, "nodes@acme.iam.gserviceaccount.com.evil.example", false},
		"domain without an account":         {wildcard, "@acme.iam.gserviceaccount.com", false},
		"account without a domain":          {wildcard, "nodes", false},
		"no email":                          {wildcard, "", false},
		"wildcard of no project":            {"*@developer.gserviceaccount.com", "1-compute@developer.gserviceaccount.com", false},
		"wildcard of all projects":          {"*@iam.gserviceaccount.com", "nodes@acme.iam.gserviceaccount.com", false},
		"account in full":                   {"nodes@acme.iam.gserviceaccount.com", "nodes@acme.iam.gserviceaccount.com", true},
		"account that ends like it":         {"nodes@acme.iam.gserviceaccount.com", "evil-nodes@acme.iam.gserviceaccount.com", false},
	} {
		t.Run(name, func(t *testing.T) {
			policy := &v1alpha1.PullAccessPolicy{Spec: v1alpha1.PullAccessPolicySpec{NodeServiceAccounts: []string{tc.pattern}}}
			if got := ListsAccount(policy, tc.email); got != tc.want {
				t.Errorf("%s lists %q: %v, want %v", tc.pattern, tc.email, got, tc.want)
			}
		})
	}
}
