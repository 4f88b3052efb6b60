// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// downloadRoles are Google's roles that hold
// artifactregistry.repositories.downloadArtifacts and are bound on repositories.
// A role missing here only makes a grant of what is there already.
// https://cloud.google.com/artifact-registry/docs/access-control
var downloadRoles = []string{
	Role,
	"roles/artifactregistry.viewer",
	"roles/artifactregistry.editor",
	"roles/artifactregistry.writer",
	"roles/artifactregistry.repoAdmin",
	"roles/artifactregistry.admin",
	"roles/artifactregistry.createOnPushWriter",
	"roles/artifactregistry.createOnPushRepoAdmin",
	"roles/artifactregistry.containerRegistryMigrationAdmin",
	"roles/artifactregistry.serviceAgent",
	"roles/cloudbuild.builds.builder",
	"roles/run.builder",
	"roles/composer.worker",
	"roles/viewer",
	"roles/editor",
	"roles/owner",
}

// DownloadRole names the role by which the policy lets member pull, "" if none
// of Google's own roles does. Conditional bindings are not counted: whether
// they hold cannot be told from the policy alone.
func DownloadRole(policy *iampb.Policy, member string) string {
	for _, binding := range policy.GetBindings() {
		if binding.GetCondition() != nil || !slices.Contains(downloadRoles, binding.GetRole()) {
			continue
		}
		if contains(binding.GetMembers(), member) || contains(binding.GetMembers(), "allUsers") ||
			contains(binding.GetMembers(), "allAuthenticatedUsers") {
			return binding.GetRole()
		}
	}
	return ""
}

// SameReaders tells whether both policies have the same members in their
// unconditional bindings of Role, in whatever order and spelling.
func SameReaders(a, b *iampb.Policy) bool {
	left, right := members(a), members(b)
	return !slices.ContainsFunc(left, func(m string) bool { return !contains(right, m) }) &&
		!slices.ContainsFunc(right, func(m string) bool { return !contains(left, m) })
}
