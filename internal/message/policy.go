// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"strings"
)

const (
	// WithinLimits says that no limit of the policy holds anything back.
	WithinLimits = "No limit is reached."
	// NoNamespaceSelected says that the policy covers nothing.
	NoNamespaceSelected = "The field spec.namespaceSelector selects no namespace, so the policy covers no pod. Label a namespace, or change the selector."
	// OnlyWildcards says that the policy names no repository that can be read in advance.
	OnlyWildcards = "All entries in repositories have wildcards, so none was read in advance."
	// PolicyAsks says what a policy in mode Approve does.
	PolicyAsks = "When a pod that it covers cannot pull, a PullAccessGrant waits for a person: kubectl pullaccess grants --waiting lists what waits."
	// PolicyGrants says what a policy in mode Enforce does.
	PolicyGrants = "When a pod that it covers cannot pull, the operator opens the listed repository to the listed node account."
)

// PolicyDryRun says what a policy in mode DryRun does. grants is the number of grants that
// pods need now.
func PolicyDryRun(grants int) string {
	return fmt.Sprintf("The operator grants and restarts nothing. status.wouldGrant lists the grants that failing pods need (%d now), and Events on these pods say the same. Set spec.mode to Enforce or Approve to make them.", grants)
}

// RepositoriesUnreadable says that the operator cannot read unreadable of the listed
// repositories. first is the sentence about one of them.
func RepositoriesUnreadable(unreadable, listed int, first string) string {
	if unreadable == 1 {
		return first
	}
	return fmt.Sprintf("%d of %d repositories cannot be read; status.unreadableRepositories lists them. The first: %s", unreadable, listed, first)
}

// RepositoriesRead says that the operator could read n repositories of the policy.
func RepositoriesRead(n int) string {
	return fmt.Sprintf("Every repository named without a wildcard was read (%d).", n)
}

// InvalidSelector says that the field of the policy holds no valid selector.
func InvalidSelector(field string, err error) string {
	return fmt.Sprintf("%s selects nothing: %v.", field, err)
}

// PolicyPaused says that the policy is paused, why, and how to resume it.
func PolicyPaused(policy, reason string) string {
	return "It is paused, and nothing new is granted or restarted: " + strings.TrimRight(reason, ". ") + " (kubectl pullaccess resume " + policy + " ends the pause)."
}
