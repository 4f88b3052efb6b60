// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"fmt"
	"regexp"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// maxPrincipals is Google's bound on a policy; every occurrence of a member counts.
const maxPrincipals = 1500

// memberPattern knows the kinds of member that a policy may hold.
var memberPattern = regexp.MustCompile(`^(` +
	`allUsers|allAuthenticatedUsers` +
	`|(user|serviceAccount|group):[^@\s:?]+@[^@\s:?]+` +
	`|domain:[^@\s:]+\.[^@\s:]+` +
	`|(projectOwner|projectEditor|projectViewer):\S+` +
	`|(principal|principalSet)://iam\.googleapis\.com/\S+` +
	`|deleted:(user|serviceAccount|group):[^@\s:?]+@[^@\s:?]+\?uid=\d+` +
	`|deleted:principal://iam\.googleapis\.com/\S+` +
	`)$`)

// checkPolicy refuses what Google refuses whatever is stored already; conditions
// Artifact Registry alone. It needs s.mu, as does checkAccounts.
func (s *state) checkPolicy(resource string, p *iampb.Policy) error {
	if p == nil {
		return invalidArgument("Request contains an invalid argument.")
	}
	switch p.GetVersion() {
	case 0, 1, 3:
	default:
		return invalidArgument("Invalid policy version. Policy version must be one of 0, 1 or 3.")
	}
	principals := 0
	for _, binding := range p.GetBindings() {
		if binding.GetCondition() != nil && strings.Contains(resource, "/repositories/") {
			return invalidArgument("Conditions are not supported on this resource.")
		}
		if _, known := s.permissionsOf(binding.GetRole()); !known {
			return invalidArgument(fmt.Sprintf("Role %s is not supported for this resource.", binding.GetRole()))
		}
		for _, member := range binding.GetMembers() {
			if !memberPattern.MatchString(member) {
				return invalidArgument(fmt.Sprintf("Invalid member %q in the policy.", member))
			}
		}
		principals += len(binding.GetMembers())
	}
	if principals > maxPrincipals {
		return invalidArgument(fmt.Sprintf(
			"The number of members in the policy (%d) is larger than the maximum allowed size %d.", principals, maxPrincipals))
	}
	return nil
}

// checkAccounts refuses a policy that names a service account that is gone, also
// when it was there before and the writer did not add it.
func (s *state) checkAccounts(p *iampb.Policy) error {
	for _, binding := range p.GetBindings() {
		for _, member := range binding.GetMembers() {
			email, isAccount := strings.CutPrefix(member, "serviceAccount:")
			if isAccount && !s.accounts[strings.ToLower(email)] {
				return invalidArgument(fmt.Sprintf("Service account %s does not exist.", email))
			}
		}
	}
	return nil
}
