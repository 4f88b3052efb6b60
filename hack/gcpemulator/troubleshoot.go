// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"net/http"
	"regexp"
	"strings"

	"google.golang.org/api/policytroubleshooter/v3"
)

// Google's names of these messages are longer than a line.
type (
	troubleshootRequest  = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyRequest
	troubleshootResponse = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyResponse
	accessTuple          = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AccessTuple
)

// How much a part of an explanation weighs.
const (
	relevanceNormal = "HEURISTIC_RELEVANCE_NORMAL"
	relevanceHigh   = "HEURISTIC_RELEVANCE_HIGH"
)

func relevance(high bool) string {
	if high {
		return relevanceHigh
	}
	return relevanceNormal
}

func (e *Emulator) troubleshootEndpoint(*http.Request) endpoint {
	return rpcEndpoint("iam.troubleshoot", "iam", e.troubleshoot, refuseAPI)
}

// question is what Policy Troubleshooter is asked, and by whom.
type question struct {
	caller     identity // Who must see a policy for it to count.
	principal  identity // Whose access it is about.
	permission string   // In the form of roles.
	resource   string
}

var (
	emailPattern      = regexp.MustCompile(`^[^@\s:]+@[^@\s:]+$`)
	permissionPattern = regexp.MustCompile(`^[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+$`)
	resourcePattern   = regexp.MustCompile(`^//([a-z]+\.googleapis\.com)/((?:projects|folders|organizations)/[^/]+(?:/.+)?)$`)
)

// ask checks a request. The API knows people and service accounts, by bare
// email, and no permission on a resource that is not of the permission's kind.
func ask(caller identity, tuple *accessTuple) (question, error) {
	if tuple == nil || !emailPattern.MatchString(tuple.Principal) {
		return question{}, invalidArgument("The principal must be an email address of a Google Account or a service account.")
	}
	permission := permissionOfRoles(tuple.Permission)
	resource := resourcePattern.FindStringSubmatch(tuple.FullResourceName)
	if !permissionPattern.MatchString(permission) || resource == nil {
		return question{}, invalidArgument("Request contains an invalid argument.")
	}
	if service, _, _ := strings.Cut(permissionFQDN(permission), "/"); service != resource[1] && resource[1] != serviceProjects {
		return question{}, invalidArgument("The permission " + tuple.Permission + " cannot be granted on the resource.")
	}
	return question{
		caller: caller, principal: identity{email: tuple.Principal}, permission: permission, resource: resource[2],
	}, nil
}

// troubleshoot asks for no permission: what the caller may not see is unknown.
func (e *Emulator) troubleshoot(caller identity, _ string, r *http.Request) (any, error) {
	var in troubleshootRequest
	if err := decodeJSON(r, &in); err != nil {
		return nil, err
	}
	q, err := ask(caller, in.AccessTuple)
	if err != nil {
		return nil, err
	}
	q.resource = e.byProjectID(q.resource)
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	allow, deny := e.state.explainAllow(q), e.state.explainDeny(q)
	tuple := *in.AccessTuple
	tuple.Permission, tuple.PermissionFqdn = q.permission, permissionFQDN(q.permission)
	return &troubleshootResponse{
		AccessTuple: &tuple, AllowPolicyExplanation: allow, DenyPolicyExplanation: deny,
		OverallAccessState: overall(allow.AllowAccessState, deny.DenyAccessState),
	}, nil
}

// byProjectID puts the project's ID in the place of its number.
func (e *Emulator) byProjectID(resource string) string {
	project := projectOf(resource)
	id, ok := strings.CutPrefix(project, "projects/")
	if !ok {
		return resource
	}
	return "projects/" + e.state.projectID(id) + strings.TrimPrefix(resource, project)
}

// overall weighs both kinds of policies: a denial wins, and what is unknown of
// the one kind does not matter where the other decides.
func overall(allow, deny string) string {
	switch {
	case deny == denyDenied, allow == allowNotGranted:
		return "CANNOT_ACCESS"
	case deny == denyUnknown, allow == allowUnknown:
		return "UNKNOWN_INFO"
	case allow == allowConditional:
		return "UNKNOWN_CONDITIONAL"
	}
	return "CAN_ACCESS"
}
