// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"net/http"
	"testing"

	"google.golang.org/api/option"
	"google.golang.org/api/policytroubleshooter/v3"
)

func troubleshooter(t *testing.T, e *Emulator) func(accessTuple) (*troubleshootResponse, error) {
	t.Helper()
	service, err := policytroubleshooter.NewService(t.Context(), option.WithEndpoint(e.URL()), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	return func(tuple accessTuple) (*troubleshootResponse, error) {
		return service.Iam.Troubleshoot(&troubleshootRequest{AccessTuple: &tuple}).Do()
	}
}

var pullByNode = accessTuple{
	Principal: node, Permission: permissionDownload, FullResourceName: "//artifactregistry.googleapis.com/" + services,
}

func TestTroubleshoot(t *testing.T) {
	granted := func(e *Emulator) { e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node)) }
	for name, tc := range map[string]struct {
		arrange                func(e *Emulator)
		overall, allowed, deny string
	}{
		"nothing": {func(*Emulator) {}, "CANNOT_ACCESS", allowNotGranted, denyNotDenied},
		"granted": {granted, "CAN_ACCESS", allowGranted, denyNotDenied},
		"granted on the project": {func(e *Emulator) {
			e.SetProjectPolicy("acme", policyOf("roles/viewer", "serviceAccount:"+node))
		}, "CAN_ACCESS", allowGranted, denyNotDenied},
		"granted too little": {func(e *Emulator) {
			e.SetProjectPolicy("acme", policyOf("roles/compute.viewer", "serviceAccount:"+node))
		}, "CANNOT_ACCESS", allowNotGranted, denyNotDenied},
		"granted to a group": {func(e *Emulator) {
			e.SetGroup("nodes@example.com", "serviceAccount:"+node)
			e.SetPolicy(services, policyOf(reader, "group:nodes@example.com"))
		}, "UNKNOWN_INFO", allowUnknown, denyNotDenied},
		"a group without the permission": {func(e *Emulator) {
			e.SetPolicy(services, policyOf("roles/compute.viewer", "group:nodes@example.com"))
		}, "CANNOT_ACCESS", allowNotGranted, denyNotDenied},
		"on a condition": {func(e *Emulator) { e.SetProjectPolicy("acme", conditional("request.time < x")) }, "UNKNOWN_CONDITIONAL", allowConditional, denyNotDenied},
		"denied": {func(e *Emulator) {
			granted(e)
			e.SetDenyPolicy("acme", denyNode)
		}, "CANNOT_ACCESS", allowGranted, denyDenied},
		"denied above": {func(e *Emulator) {
			granted(e)
			e.SetParent("projects/acme", "organizations/9")
			e.SetDenyPolicy("organizations/9", denyNode)
		}, "CANNOT_ACCESS", allowGranted, denyDenied},
		"a group denied": {func(e *Emulator) {
			granted(e)
			p := denyNode
			p.DeniedPrincipals = []string{principalGroup + "nodes@example.com"}
			e.SetDenyPolicy("acme", p)
		}, "UNKNOWN_INFO", allowGranted, denyUnknown},
		"granted, deny policies unseen": {func(e *Emulator) {
			granted(e)
			e.RestrictCaller("", permissionGetIAM, permissionProjectIAM)
		}, "UNKNOWN_INFO", allowGranted, denyUnknown},
		"project policy unseen": {func(e *Emulator) {
			e.RestrictCaller("", permissionGetIAM, permissionDenials)
		}, "UNKNOWN_INFO", allowUnknown, denyNotDenied},
		"custom role unseen": {func(e *Emulator) {
			e.AddRole("projects/acme/roles/puller", permissionDownload)
			e.SetPolicy(services, policyOf("projects/acme/roles/puller", "serviceAccount:"+node))
			e.RestrictCaller("", permissionGetIAM, permissionProjectIAM, permissionDenials)
		}, "UNKNOWN_INFO", allowUnknown, denyNotDenied},
		"nothing seen": {func(e *Emulator) { e.RestrictCaller("") }, "UNKNOWN_INFO", allowUnknown, denyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := newEmulator(t)
			tc.arrange(e)
			got, err := troubleshooter(t, e)(pullByNode)
			if err != nil {
				t.Fatal(err)
			}
			if allowed, deny := got.AllowPolicyExplanation.AllowAccessState, got.DenyPolicyExplanation.DenyAccessState; got.OverallAccessState != tc.overall || allowed != tc.allowed || deny != tc.deny {
				t.Errorf("got %s, %s, %s; want %s, %s, %s", got.OverallAccessState, allowed, deny, tc.overall, tc.allowed, tc.deny)
			}
		})
	}
}

func TestTroubleshootExplains(t *testing.T) {
	e, _ := newEmulator(t)
	e.SetPolicy(services, policyOf(reader, "user:a@example.com", "serviceAccount:"+node))
	e.SetDenyPolicy("acme", denyNode)
	tuple := pullByNode
	tuple.Permission = "artifactregistry.googleapis.com/repositories.downloadArtifacts"
	tuple.FullResourceName = "//artifactregistry.googleapis.com/projects/417/locations/us-central1/repositories/services"
	got, err := troubleshooter(t, e)(tuple)
	if err != nil {
		t.Fatal(err)
	}
	if got.AccessTuple.Permission != permissionDownload || got.AccessTuple.PermissionFqdn != tuple.Permission {
		t.Errorf("the tuple is %+v", got.AccessTuple)
	}
	policies := got.AllowPolicyExplanation.ExplainedPolicies
	if len(policies) != 2 || policies[0].FullResourceName != pullByNode.FullResourceName || len(policies[0].BindingExplanations) != 1 {
		t.Fatalf("allow policies are %+v", policies)
	}
	binding := policies[0].BindingExplanations[0]
	if binding.RolePermission != roleIncludes || binding.Memberships["user:a@example.com"].Membership != memberNotMatched ||
		binding.Memberships["serviceAccount:"+node].Membership != memberMatched || binding.CombinedMembership.Membership != memberMatched {
		t.Errorf("the binding is %+v", binding)
	}
	if shown := policies[0].Policy; len(shown.Bindings) != 1 || shown.Bindings[0].Role != reader || shown.Etag == "" {
		t.Errorf("the policy is %+v", shown)
	}
	resources := got.DenyPolicyExplanation.ExplainedResources
	if !got.DenyPolicyExplanation.PermissionDeniable || len(resources) != 1 || len(resources[0].ExplainedPolicies) != 1 {
		t.Fatalf("denied resources are %+v", resources)
	}
	rule := resources[0].ExplainedPolicies[0].RuleExplanations[0]
	if rule.DenyAccessState != denyDenied || rule.DeniedPrincipals[principalAccount+node].Membership != memberMatched ||
		rule.DeniedPermissions[tuple.Permission].PermissionMatchingState != permissionMatched {
		t.Errorf("the rule is %+v", rule)
	}
}

func TestTroubleshootRefuses(t *testing.T) {
	e, _ := newEmulator(t)
	ask := troubleshooter(t, e)
	for name, change := range map[string]func(*accessTuple){
		"a member instead of an email": func(a *accessTuple) { a.Principal = "serviceAccount:" + node },
		"a federated principal":        func(a *accessTuple) { a.Principal = "principal://iam.googleapis.com/projects/417/x" },
		"no permission":                func(a *accessTuple) { a.Permission = "" },
		"another service's permission": func(a *accessTuple) { a.Permission = "compute.instances.get" },
		"a bare resource name":         func(a *accessTuple) { a.FullResourceName = services },
	} {
		t.Run(name, func(t *testing.T) {
			tuple := pullByNode
			change(&tuple)
			_, err := ask(tuple)
			refusedWith(t, err, http.StatusBadRequest, "")
		})
	}
}
