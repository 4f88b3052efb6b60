// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
)

func TestEveryone(t *testing.T) {
	const writer, deleted = "roles/artifactregistry.writer", "deleted:serviceAccount:old@acme.iam.gserviceaccount.com?uid=1"
	reads, more := map[string]Reach{own: {Reads: true}}, map[string]Reach{own: {Reads: true, More: true}}
	for name, tc := range map[string]struct {
		policy    *iampb.Policy
		looked    map[string]Reach
		want      []Reader
		undecided []Reader
		why       string
	}{
		"no policy":   {why: "what was not read names nobody"},
		"empty":       {policy: policyOf(), why: "an empty policy lets nobody in"},
		"readers":     {policy: policyOf(readers(human, nodes)), want: []Reader{{Member: nodes, Role: Role}, {Member: human, Role: Role}}, why: "each member counts"},
		"group":       {policy: policyOf(readers(group)), want: []Reader{{Member: group, Role: Role}}, why: "a group is shown as the policy writes it"},
		"everybody":   {policy: policyOf(readers("allUsers")), want: []Reader{{Member: "allUsers", Role: Role}}, why: "the public is a member too"},
		"deleted":     {policy: policyOf(readers(deleted)), want: []Reader{{Member: deleted, Role: Role}}, why: "a deleted account is still there"},
		"more":        {policy: policyOf(writers(nodes)), want: []Reader{{Member: nodes, Role: writer, More: true}}, why: "a writer reads and writes"},
		"basic":       {policy: policyOf(bound("roles/viewer", nodes)), want: []Reader{{Member: nodes, Role: "roles/viewer", More: true}}, why: "a basic role reaches every service"},
		"viewer":      {policy: policyOf(bound("roles/artifactregistry.viewer", nodes)), want: []Reader{{Member: nodes, Role: "roles/artifactregistry.viewer"}}, why: "it changes nothing"},
		"useless":     {policy: policyOf(bound("roles/logging.logWriter", nodes)), why: "the role does not read images"},
		"conditional": {policy: policyOf(conditional(nodes)), want: []Reader{{Member: nodes, Role: Role, Conditional: true}}, why: "it may hold"},
		"twice":       {policy: policyOf(readers(nodes), readers(nodes)), want: []Reader{{Member: nodes, Role: Role}}, why: "two bindings give no more than one"},
		"with and without condition": {
			policy: policyOf(conditional(nodes, batch), readers(nodes)),
			want:   []Reader{{Member: batch, Role: Role, Conditional: true}, {Member: nodes, Role: Role}}, why: "one that holds without a condition holds",
		},
		"two roles": {
			policy: policyOf(writers(nodes), readers(nodes)),
			want:   []Reader{{Member: nodes, Role: Role}, {Member: nodes, Role: writer, More: true}}, why: "each role is a way in",
		},
		"custom role":            {policy: policyOf(bound(own, nodes, group)), undecided: []Reader{{Member: group, Role: own}, {Member: nodes, Role: own}}, why: "what is not known is not nobody"},
		"custom role reads":      {policy: policyOf(bound(own, nodes)), looked: reads, want: []Reader{{Member: nodes, Role: own}}, why: "it was looked up"},
		"custom role does more":  {policy: policyOf(bound(own, nodes)), looked: more, want: []Reader{{Member: nodes, Role: own, More: true}}, why: "it was looked up"},
		"custom role is else":    {policy: policyOf(bound(own, nodes)), looked: map[string]Reach{own: {More: true}}, why: "it was looked up"},
		"basic, looked up":       {policy: policyOf(bound("roles/reader", nodes)), looked: map[string]Reach{"roles/reader": {Reads: true}}, want: []Reader{{Member: nodes, Role: "roles/reader", More: true}}, why: "it reads every service"},
		"looked up before known": {policy: policyOf(writers(nodes)), looked: map[string]Reach{writer: {}}, why: "what was looked up is newer than what is known by heart"},
	} {
		t.Run(name, func(t *testing.T) {
			got, undecided := Everyone(tc.policy, tc.looked)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: readers (-want +got)\n%s", tc.why, diff)
			}
			if diff := cmp.Diff(tc.undecided, undecided); diff != "" {
				t.Errorf("%s: undecided (-want +got)\n%s", tc.why, diff)
			}
		})
	}
}

// TestEveryoneAgrees: whoever can read by the one question can by the other.
func TestEveryoneAgrees(t *testing.T) {
	for role, reads := range googleRoles {
		policy := policyOf(bound(role, nodes))
		everyone, undecided := Everyone(policy, nil)
		if one := ReadersOf(policy, nodes, nil).Role != ""; one != reads || len(everyone) > 0 != reads || len(undecided) > 0 {
			t.Errorf("%s: it reads %v; of one %v, of everyone %v and %v", role, reads, one, everyone, undecided)
		}
	}
}

func TestReachOf(t *testing.T) {
	const download = "artifactregistry.repositories.downloadArtifacts"
	for name, tc := range map[string]struct {
		permissions []string
		want        Reach
	}{
		"nothing":         {nil, Reach{}},
		"reads":           {[]string{download, "artifactregistry.tags.list", "artifactregistry.repositories.getIamPolicy"}, Reach{Reads: true}},
		"virtual":         {[]string{download, "artifactregistry.repositories.readViaVirtualRepository"}, Reach{Reads: true}},
		"beside":          {[]string{download, "logging.logEntries.create"}, Reach{Reads: true}},
		"writes":          {[]string{download, "artifactregistry.repositories.uploadArtifacts"}, Reach{Reads: true, More: true}},
		"deletes":         {[]string{download, "artifactregistry.tags.delete"}, Reach{Reads: true, More: true}},
		"lets others in":  {[]string{download, "artifactregistry.repositories.setIamPolicy"}, Reach{Reads: true, More: true}},
		"writes unread":   {[]string{"artifactregistry.repositories.uploadArtifacts"}, Reach{More: true}},
		"another service": {[]string{"storage.objects.get"}, Reach{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ReachOf(tc.permissions); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}
