// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

func TestLists(t *testing.T) {
	policy := &v1alpha1.PullAccessPolicy{Spec: v1alpha1.PullAccessPolicySpec{
		Repositories:        []v1alpha1.RepositoryPattern{{Project: "acme", Location: "*", Name: "team-*"}, {Project: "acme", Location: "us", Name: "services"}},
		NodeServiceAccounts: []string{"*@acme.iam.gserviceaccount.com"},
	}}
	for repository, want := range map[imageref.Repository]bool{
		{Project: "acme", Location: "us", Name: "services"}: true, {Project: "acme", Location: "eu", Name: "services"}: false,
		{Project: "acme", Location: "eu", Name: "team-a"}: true, {Project: "other", Location: "us", Name: "services"}: false, {}: false,
	} {
		if got := ListsRepository(policy, repository); got != want {
			t.Errorf("%s is listed: %v, want %v", repository, got, want)
		}
	}
	for email, want := range map[string]bool{"nodes@acme.iam.gserviceaccount.com": true, "nodes@other.iam.gserviceaccount.com": false, "": false} {
		if got := ListsAccount(policy, email); got != want {
			t.Errorf("%q is listed: %v, want %v", email, got, want)
		}
	}
}
