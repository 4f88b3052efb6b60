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
	for name, want := range map[string]bool{"acme/us/services": true, "acme/eu/services": false, "acme/eu/team-a": true, "other/us/services": false, "//": false} {
		var r imageref.Repository
		for _, known := range []imageref.Repository{
			{Project: "acme", Location: "us", Name: "services"}, {Project: "acme", Location: "eu", Name: "services"},
			{Project: "acme", Location: "eu", Name: "team-a"}, {Project: "other", Location: "us", Name: "services"},
		} {
			if known.String() == name {
				r = known
			}
		}
		if got := ListsRepository(policy, r); got != want {
			t.Errorf("%s is listed: %v, want %v", name, got, want)
		}
	}
	for email, want := range map[string]bool{"nodes@acme.iam.gserviceaccount.com": true, "nodes@other.iam.gserviceaccount.com": false, "": false} {
		if got := ListsAccount(policy, email); got != want {
			t.Errorf("%q is listed: %v, want %v", email, got, want)
		}
	}
}
