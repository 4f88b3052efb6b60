// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"errors"
	"net/http"
	"testing"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/genproto/googleapis/type/expr"
)

// denyNode keeps the node's account from reading images.
var denyNode = DenyPolicy{
	Name:              "no-pulls",
	DeniedPrincipals:  []string{principalAccount + node},
	DeniedPermissions: []string{"artifactregistry.googleapis.com/repositories.downloadArtifacts"},
}

func conditional(expression string) *iampb.Policy {
	p := policyOf(reader, "serviceAccount:"+node)
	p.Bindings[0].Condition = &expr.Expr{Title: "sometimes", Expression: expression}
	return p
}

func TestWhoMayPull(t *testing.T) {
	granted := func(e *Emulator) { e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node)) }
	for name, tc := range map[string]struct {
		arrange func(e *Emulator)
		want    bool
	}{
		"nobody": {func(*Emulator) {}, false},
		"member": {granted, true},
		"member of a group": {func(e *Emulator) {
			e.SetGroup("pullers@example.com", "user:a@example.com", "serviceAccount:"+node)
			e.SetPolicy(services, policyOf(reader, "group:Pullers@example.com"))
		}, true},
		"member of a group in a group": {func(e *Emulator) {
			e.SetGroup("all@example.com", "group:pullers@example.com")
			e.SetGroup("pullers@example.com", "group:all@example.com", "serviceAccount:"+node)
			e.SetProjectPolicy("acme", policyOf(reader, "group:all@example.com"))
		}, true},
		"member of another group": {func(e *Emulator) {
			e.SetGroup("others@example.com", "serviceAccount:"+node)
			e.SetPolicy(services, policyOf(reader, "group:pullers@example.com"))
		}, false},
		"in the organization": {func(e *Emulator) {
			e.SetParent("projects/acme", "folders/7")
			e.SetParent("folders/7", "organizations/9")
			e.SetPolicy("organizations/9", policyOf("roles/viewer", "serviceAccount:"+node))
		}, true},
		"in another organization": {func(e *Emulator) {
			e.SetPolicy("organizations/9", policyOf("roles/viewer", "serviceAccount:"+node))
		}, false},
		"condition that holds":    {func(e *Emulator) { e.SetProjectPolicy("acme", conditional("true")) }, true},
		"condition that does not": {func(e *Emulator) { e.SetProjectPolicy("acme", conditional("false")) }, false},
		"condition nobody reads":  {func(e *Emulator) { e.SetProjectPolicy("acme", conditional("request.time < x")) }, false},
		"denied": {func(e *Emulator) {
			granted(e)
			e.SetDenyPolicy("acme", denyNode)
		}, false},
		"denied above": {func(e *Emulator) {
			granted(e)
			e.SetParent("projects/acme", "organizations/9")
			e.SetDenyPolicy("organizations/9", denyNode)
		}, false},
		"denied with a wildcard, as a group": {func(e *Emulator) {
			granted(e)
			e.SetGroup("nodes@example.com", "serviceAccount:"+node)
			e.SetDenyPolicy("acme", DenyPolicy{
				DeniedPrincipals:  []string{principalGroup + "nodes@example.com"},
				DeniedPermissions: []string{"artifactregistry.googleapis.com/repositories.*"},
			})
		}, false},
		"everybody denied but one": {func(e *Emulator) {
			granted(e)
			p := denyNode
			p.DeniedPrincipals, p.ExceptionPrincipals = []string{principalAll}, []string{principalAccount + node}
			e.SetDenyPolicy("acme", p)
		}, true},
		"another permission denied": {func(e *Emulator) {
			granted(e)
			p := denyNode
			p.DeniedPermissions = []string{"artifactregistry.googleapis.com/repositories.uploadArtifacts"}
			e.SetDenyPolicy("acme", p)
		}, true},
		"denial taken back": {func(e *Emulator) {
			granted(e)
			e.SetDenyPolicy("acme", denyNode)
			e.SetDenyPolicy("acme")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := newEmulator(t)
			tc.arrange(e)
			want := http.StatusForbidden
			if tc.want {
				want = http.StatusOK
			}
			if got := pullAs(t, e, appImage, e.Token(node)); got.status != want {
				t.Errorf("got %d %s, want %d", got.status, got.body, want)
			}
		})
	}
}

func TestBlock(t *testing.T) {
	for name, tc := range map[string]struct {
		why       Blockage
		reason    string
		text      string
		violation string
	}{
		"API":       {APIDisabled, "SERVICE_DISABLED", "Artifact Registry API has not been used in project 417 before or it is disabled", ""},
		"billing":   {BillingDisabled, "BILLING_DISABLED", "billing to be enabled. Please enable billing on project #417", ""},
		"perimeter": {Perimeter, "SECURITY_POLICY_VIOLATED", "vpcServiceControlsUniqueIdentifier: ", "VPC_SERVICE_CONTROLS"},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := newEmulator(t)
			client := newClient(t, e)
			read := func() error {
				_, err := client.GetRepository(t.Context(), &artifactregistrypb.GetRepositoryRequest{Name: services})
				return err
			}
			e.Block("acme", tc.why)
			err := read()
			refusedWith(t, err, http.StatusForbidden, tc.text)
			var known *apierror.APIError
			if !errors.As(err, &known) || known.Reason() != tc.reason {
				t.Fatalf("got %v, want %s", err, tc.reason)
			}
			if metadata := known.Metadata(); metadata["consumer"] != "projects/417" || metadata["service"] != serviceArtifacts {
				t.Errorf("metadata is %v", metadata)
			}
			violations := known.Details().PreconditionFailure.GetViolations()
			if len(violations) > 0 != (tc.violation != "") || tc.violation != "" && violations[0].GetType() != tc.violation {
				t.Errorf("violations are %v, want %q", violations, tc.violation)
			}
			e.Unblock("acme")
			if err := read(); err != nil {
				t.Errorf("after Unblock: %v", err)
			}
		})
	}
}
