// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/expr"
)

const (
	own    = "projects/acme/roles/puller"
	group  = "group:dev@example.com"
	domain = "domain:example.com"
)

func bound(role string, members ...string) *iampb.Binding {
	return &iampb.Binding{Role: role, Members: members}
}

func TestReadersOf(t *testing.T) {
	in := Readers{Role: Role}
	upper := "serviceAccount:NODES@acme.iam.gserviceaccount.com"
	for name, tc := range map[string]struct {
		policy  *iampb.Policy
		holding map[string]bool
		want    Readers
		why     string
	}{
		"no policy":     {policy: nil, why: "what was not read gives no access"},
		"empty":         {policy: policyOf(), why: "an empty policy gives no access"},
		"reader":        {policy: policyOf(readers(human, nodes)), want: in, why: "the reader role pulls"},
		"another case":  {policy: policyOf(readers(upper)), want: in, why: "case does not matter"},
		"writer":        {policy: policyOf(writers(nodes)), want: Readers{Role: "roles/artifactregistry.writer"}, why: "access is told by permission, not by the reader role"},
		"owner":         {policy: policyOf(bound("roles/owner", nodes)), want: Readers{Role: "roles/owner"}, why: "the basic roles hold the permission too"},
		"others only":   {policy: policyOf(readers(human, batch)), why: "the access of others is not the member's"},
		"everybody":     {policy: policyOf(readers("allUsers")), want: in, why: "a public repository needs no grant"},
		"every account": {policy: policyOf(readers("allAuthenticatedUsers")), want: in, why: "a service account is authenticated"},
		"useless role":  {policy: policyOf(bound("roles/container.nodeServiceAccount", nodes)), why: "GKE's node role does not pull from Artifact Registry"},

		"conditional":     {policy: policyOf(conditional(nodes)), want: Readers{Conditional: Role}, why: "whether a condition holds cannot be told"},
		"empty condition": {policy: policyOf(&iampb.Binding{Role: Role, Members: []string{nodes}, Condition: &expr.Expr{}}), want: Readers{Conditional: Role}, why: "a condition that says nothing is still not understood"},
		"condition of no use": {
			policy: policyOf(&iampb.Binding{Role: "roles/logging.logWriter", Members: []string{nodes}, Condition: &expr.Expr{}}),
			why:    "a condition matters only on a role that pulls",
		},
		"with and without condition": {policy: policyOf(conditional(nodes), readers(nodes)), want: in, why: "one unconditional binding is enough"},

		"custom role":         {policy: policyOf(bound(own, nodes), bound(own, nodes)), want: Readers{Undecided: []string{own}}, why: "a role that is not known has to be looked up, once"},
		"custom role pulls":   {policy: policyOf(bound(own, nodes)), holding: map[string]bool{own: true}, want: Readers{Role: own}, why: "it was looked up"},
		"custom role is else": {policy: policyOf(bound(own, nodes)), holding: map[string]bool{own: false}, why: "it was looked up"},
		"custom conditional": {
			policy:  policyOf(&iampb.Binding{Role: own, Members: []string{nodes}, Condition: &expr.Expr{}}),
			holding: map[string]bool{own: true}, want: Readers{Conditional: own}, why: "a condition on a custom role is one too",
		},
		"custom of others":       {policy: policyOf(bound(own, batch, group)), why: "only roles of the member are worth a look-up"},
		"unknown beside a known": {policy: policyOf(bound(own, nodes), readers(nodes)), want: in, why: "nothing is left to look up"},
		"looked up beats known":  {policy: policyOf(readers(nodes)), holding: map[string]bool{Role: false}, why: "Google's word of today counts more than ours"},

		"groups": {
			policy: policyOf(readers(group, human, domain, "projectViewer:acme"), writers(group), bound("roles/logging.logWriter", "group:z@example.com"), conditional("group:y@example.com")),
			want:   Readers{Groups: []string{domain, group, "projectViewer:acme"}}, why: "who is in a group is not told, and only groups that pull count",
		},
		"group beside the member": {policy: policyOf(readers(group, nodes)), want: in, why: "who is in by name needs no group"},
		"group by custom role":    {policy: policyOf(bound(own, group)), holding: map[string]bool{own: true}, want: Readers{Groups: []string{group}}, why: "the role pulls"},

		"deleted twin":         {policy: policyOf(readers("deleted:" + nodes + "?uid=1")), want: Readers{Deleted: true}, why: "a deleted account is another one, and worth telling"},
		"deleted among others": {policy: policyOf(readers("deleted:"+nodes+"?uid=1", "deleted:"+batch+"?uid=2")), want: Readers{Deleted: true}, why: "one twin is enough"},
		"deleted in capitals":  {policy: policyOf(readers("deleted:" + upper + "?uid=1")), want: Readers{Deleted: true}, why: "case does not matter"},
		"deleted other":        {policy: policyOf(readers("deleted:" + batch + "?uid=1")), why: "it is nobody's twin"},
		"deleted elsewhere":    {policy: policyOf(bound("roles/logging.logWriter", "deleted:"+nodes+"?uid=1")), why: "it could not pull either"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ReadersOf(tc.policy, nodes, tc.holding)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tc.why, diff)
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
