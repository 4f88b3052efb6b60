// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/genproto/googleapis/type/expr"
)

func TestDownloadRole(t *testing.T) {
	owner := &iampb.Binding{Role: "roles/owner", Members: []string{nodes}}
	for name, tc := range map[string]struct {
		policy *iampb.Policy
		want   string
		why    string
	}{
		"no policy":     {policy: nil, want: "", why: "what was not read gives no access"},
		"empty":         {policy: policyOf(), want: "", why: "an empty policy gives no access"},
		"reader":        {policy: policyOf(readers(human, nodes)), want: Role, why: "the reader role pulls"},
		"another case":  {policy: policyOf(readers("serviceAccount:NODES@acme.iam.gserviceaccount.com")), want: Role, why: "case does not matter"},
		"writer":        {policy: policyOf(writers(nodes)), want: "roles/artifactregistry.writer", why: "access is told by permission, not by the reader role"},
		"owner":         {policy: policyOf(owner), want: "roles/owner", why: "the basic roles hold the permission too"},
		"others only":   {policy: policyOf(readers(human, batch)), want: "", why: "the access of others is not the member's"},
		"conditional":   {policy: policyOf(conditional(nodes)), want: "", why: "whether a condition holds cannot be told"},
		"deleted":       {policy: policyOf(readers("deleted:" + nodes + "?uid=1")), want: "", why: "a deleted account is another one"},
		"everybody":     {policy: policyOf(readers("allUsers")), want: Role, why: "a public repository needs no grant"},
		"every account": {policy: policyOf(readers("allAuthenticatedUsers")), want: Role, why: "a service account is authenticated"},
		"useless role": {
			policy: policyOf(&iampb.Binding{Role: "roles/container.nodeServiceAccount", Members: []string{nodes}}),
			want:   "", why: "GKE's node role does not pull from Artifact Registry",
		},
		"empty condition": {
			policy: policyOf(&iampb.Binding{Role: Role, Members: []string{nodes}, Condition: &expr.Expr{}}),
			want:   "", why: "a condition that says nothing is still not understood",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := DownloadRole(tc.policy, nodes); got != tc.want {
				t.Errorf("got %q, want %q: %s", got, tc.want, tc.why)
			}
		})
	}
}

func TestSameReaders(t *testing.T) {
	for name, tc := range map[string]struct {
		a, b *iampb.Policy
		want bool
	}{
		"none":                {want: true},
		"other order":         {a: policyOf(readers(human, nodes)), b: policyOf(readers(nodes, human)), want: true},
		"other case":          {a: policyOf(readers(nodes)), b: policyOf(readers("serviceAccount:NODES@acme.iam.gserviceaccount.com")), want: true},
		"one is missing":      {a: policyOf(readers(human, nodes)), b: policyOf(readers(human))},
		"one is too many":     {a: policyOf(readers(human)), b: policyOf(readers(human, nodes))},
		"under another role":  {a: policyOf(readers(nodes)), b: policyOf(writers(nodes))},
		"under a condition":   {a: policyOf(readers(nodes)), b: policyOf(conditional(nodes))},
		"other writers apart": {a: policyOf(readers(nodes), writers(human)), b: policyOf(readers(nodes)), want: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := SameReaders(tc.a, tc.b); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
