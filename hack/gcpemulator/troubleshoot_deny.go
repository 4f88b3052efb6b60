// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"net/url"
	"slices"
	"strings"

	"google.golang.org/api/policytroubleshooter/v3"
)

type (
	denyExplanation = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3DenyPolicyExplanation
	deniedResource  = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ExplainedDenyResource
	explainedDeny   = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ExplainedDenyPolicy
	ruleExplanation = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3DenyRuleExplanation
	denyPrincipal   = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3DenyRuleExplanationAnnotatedDenyPrincipalMatching
	denyPermission  = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3DenyRuleExplanationAnnotatedPermissionMatching
)

const (
	denyDenied    = "DENY_ACCESS_STATE_DENIED"
	denyNotDenied = "DENY_ACCESS_STATE_NOT_DENIED"
	denyUnknown   = "DENY_ACCESS_STATE_UNKNOWN_INFO"

	permissionMatched    = "PERMISSION_PATTERN_MATCHED"
	permissionNotMatched = "PERMISSION_PATTERN_NOT_MATCHED"
)

func weighDeny(states []string) string {
	return weightiest(states, denyDenied, denyUnknown, denyNotDenied)
}

// explainDeny looks at projects and above: deny policies are attached there only.
func (s *state) explainDeny(q question) *denyExplanation {
	out := &denyExplanation{PermissionDeniable: deniable(q.permission)}
	states := []string{denyNotDenied}
	for _, at := range s.lineage(projectOf(q.resource)) {
		if !out.PermissionDeniable {
			break
		}
		explained := s.explainDenyAt(q, at)
		states = append(states, explained.DenyAccessState)
		out.ExplainedResources = append(out.ExplainedResources, explained)
	}
	out.DenyAccessState = weighDeny(states)
	out.Relevance = relevance(out.DenyAccessState != denyNotDenied)
	return out
}

// explainDenyAt shows nothing to a caller who may not read deny policies, also
// not that there are none.
func (s *state) explainDenyAt(q question, at string) *deniedResource {
	if !s.holds(q.caller, permissionDenials, at) {
		return &deniedResource{DenyAccessState: denyUnknown}
	}
	out := &deniedResource{FullResourceName: fullResourceName(at)}
	states := []string{denyNotDenied}
	for _, p := range s.denials[at] {
		explained := s.explainDenyPolicy(q, at, p)
		states = append(states, explained.DenyAccessState)
		out.ExplainedPolicies = append(out.ExplainedPolicies, explained)
	}
	out.DenyAccessState = weighDeny(states)
	out.Relevance = relevance(out.DenyAccessState != denyNotDenied)
	return out
}

func (s *state) explainDenyPolicy(q question, at string, p DenyPolicy) *explainedDeny {
	rule := s.explainRule(q, p)
	return &explainedDeny{
		DenyAccessState: rule.DenyAccessState, Relevance: rule.Relevance,
		RuleExplanations: []*ruleExplanation{rule},
		Policy: &policytroubleshooter.GoogleIamV2Policy{
			Name:        "policies/" + url.QueryEscape(serviceProjects+"/"+at) + "/denypolicies/" + p.Name,
			DisplayName: p.Name, Kind: "DenyPolicy",
			Rules: []*policytroubleshooter.GoogleIamV2PolicyRule{{DenyRule: &policytroubleshooter.GoogleIamV2DenyRule{
				DeniedPrincipals: p.DeniedPrincipals, ExceptionPrincipals: p.ExceptionPrincipals,
				DeniedPermissions: p.DeniedPermissions, ExceptionPermissions: p.ExceptionPermissions,
			}}},
		},
	}
}

func (s *state) explainRule(q question, p DenyPolicy) *ruleExplanation {
	out := &ruleExplanation{}
	out.DeniedPrincipals, out.CombinedDeniedPrincipal = s.explainPrincipals(q, p.DeniedPrincipals)
	out.ExceptionPrincipals, out.CombinedExceptionPrincipal = s.explainPrincipals(q, p.ExceptionPrincipals)
	out.DeniedPermissions, out.CombinedDeniedPermission = explainPermissions(q, p.DeniedPermissions)
	out.ExceptionPermissions, out.CombinedExceptionPermission = explainPermissions(q, p.ExceptionPermissions)
	denied, excepted := out.CombinedDeniedPrincipal.Membership, out.CombinedExceptionPrincipal.Membership
	switch {
	case out.CombinedDeniedPermission.PermissionMatchingState == permissionNotMatched,
		out.CombinedExceptionPermission.PermissionMatchingState == permissionMatched,
		denied == memberNotMatched, excepted == memberMatched:
		out.DenyAccessState = denyNotDenied
	case denied == memberUnknown, excepted == memberUnknown:
		out.DenyAccessState = denyUnknown
	default:
		out.DenyAccessState = denyDenied
	}
	out.Relevance = relevance(out.DenyAccessState != denyNotDenied)
	return out
}

// explainPrincipals looks into no group, as explainMember does not.
func (s *state) explainPrincipals(q question, principals []string) (map[string]denyPrincipal, *denyPrincipal) {
	explained := map[string]denyPrincipal{}
	var states []string
	for _, principal := range principals {
		state := memberNotMatched
		switch {
		case strings.HasPrefix(principal, principalGroup):
			state = memberUnknown
		case s.principalIs(principal, q.principal):
			state = memberMatched
		}
		states = append(states, state)
		explained[principal] = denyPrincipal{Membership: state, Relevance: relevance(state == memberMatched)}
	}
	combined := weightiest(states, memberMatched, memberUnknown, memberNotMatched)
	return explained, &denyPrincipal{Membership: combined, Relevance: relevance(combined == memberMatched)}
}

func explainPermissions(q question, patterns []string) (map[string]denyPermission, *denyPermission) {
	explained := map[string]denyPermission{}
	combined := permissionNotMatched
	for _, pattern := range patterns {
		state := permissionNotMatched
		if permissionMatches(pattern, q.permission) {
			state = permissionMatched
		}
		explained[pattern] = denyPermission{PermissionMatchingState: state, Relevance: relevance(state == permissionMatched)}
	}
	if slices.ContainsFunc(patterns, func(pattern string) bool { return permissionMatches(pattern, q.permission) }) {
		combined = permissionMatched
	}
	return explained, &denyPermission{PermissionMatchingState: combined, Relevance: relevance(combined == permissionMatched)}
}
