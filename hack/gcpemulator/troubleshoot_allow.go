// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"encoding/json"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/api/policytroubleshooter/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

type (
	allowExplanation   = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AllowPolicyExplanation
	explainedAllow     = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ExplainedAllowPolicy
	bindingExplanation = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AllowBindingExplanation
	allowMembership    = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AllowBindingExplanationAnnotatedAllowMembership
)

const (
	allowGranted     = "ALLOW_ACCESS_STATE_GRANTED"
	allowNotGranted  = "ALLOW_ACCESS_STATE_NOT_GRANTED"
	allowConditional = "ALLOW_ACCESS_STATE_UNKNOWN_CONDITIONAL"
	allowUnknown     = "ALLOW_ACCESS_STATE_UNKNOWN_INFO"

	memberMatched     = "MEMBERSHIP_MATCHED"
	memberNotMatched  = "MEMBERSHIP_NOT_MATCHED"
	memberUnknown     = "MEMBERSHIP_UNKNOWN_INFO"
	memberUnsupported = "MEMBERSHIP_UNKNOWN_UNSUPPORTED"

	roleIncludes    = "ROLE_PERMISSION_INCLUDED"
	roleNotIncludes = "ROLE_PERMISSION_NOT_INCLUDED"
	roleUnknown     = "ROLE_PERMISSION_UNKNOWN_INFO"
)

// weightiest is the first of the states that decides over those behind it.
func weightiest(states []string, order ...string) string {
	for _, state := range order {
		if slices.Contains(states, state) {
			return state
		}
	}
	return order[len(order)-1]
}

func weighAllow(states []string) string {
	return weightiest(states, allowGranted, allowUnknown, allowConditional, allowNotGranted)
}

// explainAllow needs s.mu, as do all that explain.
func (s *state) explainAllow(q question) *allowExplanation {
	out := &allowExplanation{Relevance: relevanceHigh}
	var states []string
	for _, at := range s.lineage(q.resource) {
		explained := s.explainAllowAt(q, at)
		states = append(states, explained.AllowAccessState)
		out.ExplainedPolicies = append(out.ExplainedPolicies, explained)
	}
	out.AllowAccessState = weighAllow(states)
	return out
}

// explainAllowAt shows nothing of a policy that the caller may not read.
func (s *state) explainAllowAt(q question, at string) *explainedAllow {
	if !s.holds(q.caller, policyPermission(at), at) {
		return &explainedAllow{AllowAccessState: allowUnknown}
	}
	policy := s.newest(at)
	out := &explainedAllow{FullResourceName: fullResourceName(at), Policy: policyJSON(policy)}
	states := []string{allowNotGranted}
	for _, binding := range policy.GetBindings() {
		explained := s.explainBinding(q, binding)
		states = append(states, explained.AllowAccessState)
		out.BindingExplanations = append(out.BindingExplanations, explained)
	}
	out.AllowAccessState = weighAllow(states)
	out.Relevance = relevance(out.AllowAccessState != allowNotGranted)
	return out
}

// policyPermission is what reading the policy of a resource takes.
func policyPermission(resource string) string {
	kind, _, _ := strings.Cut(resource, "/")
	if strings.Contains(resource, "/repositories/") {
		return permissionGetIAM
	}
	return "resourcemanager." + kind + ".getIamPolicy"
}

func fullResourceName(resource string) string {
	if strings.Contains(resource, "/repositories/") {
		return "//" + serviceArtifacts + "/" + resource
	}
	return "//" + serviceProjects + "/" + resource
}

func (s *state) explainBinding(q question, binding *iampb.Binding) *bindingExplanation {
	out := &bindingExplanation{
		Role: binding.GetRole(), RolePermission: s.explainRole(q, binding.GetRole()),
		Memberships: map[string]allowMembership{},
	}
	var states []string
	for _, member := range binding.GetMembers() {
		state := explainMember(member, q.principal)
		states = append(states, state)
		out.Memberships[member] = allowMembership{Membership: state, Relevance: relevance(state == memberMatched)}
	}
	combined := weightiest(states, memberMatched, memberUnknown, memberUnsupported, memberNotMatched)
	out.CombinedMembership = &allowMembership{Membership: combined, Relevance: relevance(combined == memberMatched)}
	out.RolePermissionRelevance = relevance(out.RolePermission == roleIncludes)
	holds := conditionHolds(binding)
	switch {
	case out.RolePermission == roleNotIncludes, combined == memberNotMatched, holds == no:
		out.AllowAccessState = allowNotGranted
	case out.RolePermission == roleUnknown, combined != memberMatched:
		out.AllowAccessState = allowUnknown
	case holds == unknown:
		out.AllowAccessState = allowConditional
	default:
		out.AllowAccessState = allowGranted
	}
	out.Relevance = relevance(out.AllowAccessState != allowNotGranted)
	return out
}

// explainRole knows Google's own roles; others only if the caller may read them.
func (s *state) explainRole(q question, role string) string {
	if !strings.HasPrefix(role, "roles/") && !s.holds(q.caller, permissionRole, role) {
		return roleUnknown
	}
	if permissions, _ := s.permissionsOf(role); slices.Contains(permissions, q.permission) {
		return roleIncludes
	}
	return roleNotIncludes
}

// explainMember looks into no group and no domain: no caller here may see theirs.
func explainMember(member string, principal identity) string {
	kind, _, _ := strings.Cut(member, ":")
	switch {
	case principal.is(member):
		return memberMatched
	case kind == "group", kind == "domain":
		return memberUnknown
	case kind == "principal", kind == "principalSet":
		return memberUnsupported
	}
	return memberNotMatched
}

// policyJSON is a policy as this API writes it, which is as all others do.
func policyJSON(policy *iampb.Policy) *policytroubleshooter.GoogleIamV1Policy {
	out := &policytroubleshooter.GoogleIamV1Policy{}
	data, err := protojson.Marshal(policy)
	if err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return nil // Only text that is no UTF-8 cannot be written.
	}
	return out
}
