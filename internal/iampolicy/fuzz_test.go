// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// The vocabulary is small, so that edits and policies meet often.
var (
	fuzzRoles   = []string{Role, Role, "roles/artifactregistry.Reader", "roles/artifactregistry.writer", "roles/owner", ""}
	fuzzMembers = []string{
		nodes, batch, human, "allUsers", "", "serviceAccount:NODES@acme.iam.gserviceaccount.com",
		"deleted:" + nodes + "?uid=1", "principal://iam.googleapis.com/x",
		"serviceAccount:web@acme.iam.gserviceaccount.com",
	}
	editMembers = []string{nodes, batch, "serviceAccount:web@acme.iam.gserviceaccount.com"}
)

// source turns bytes into choices; it chooses the first when they run out.
type source []byte

func (s *source) below(n int) int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b) % n
}

func (s *source) policy() *iampb.Policy {
	policy := &iampb.Policy{Version: int32(s.below(4)), Etag: []byte("e")}
	for range s.below(6) {
		binding := &iampb.Binding{Role: fuzzRoles[s.below(len(fuzzRoles))]}
		if s.below(3) == 1 {
			binding.Condition = &expr.Expr{Expression: []string{"", "true"}[s.below(2)]}
		}
		for range s.below(5) {
			binding.Members = append(binding.Members, fuzzMembers[s.below(len(fuzzMembers))])
		}
		policy.Bindings = append(policy.Bindings, binding)
	}
	if s.below(2) == 1 {
		policy.AuditConfigs = audit()
	}
	return policy
}

func (s *source) edit() Edit {
	var edit Edit
	for _, member := range editMembers {
		switch s.below(4) {
		case 1:
			edit.Add = append(edit.Add, member)
		case 2:
			edit.Remove = append(edit.Remove, member)
		case 3:
			edit.Add = append(edit.Add, member, member)
		}
	}
	return edit
}

// FuzzEdit holds the promises of an edit against policies of every shape.
func FuzzEdit(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 2, 0, 0, 3, 0, 1, 2, 0, 1, 1, 0, 1, 1, 2})
	f.Add([]byte{0, 5, 0, 0, 2, 0, 5, 0, 0, 1, 0, 3, 0, 4, 0, 1, 2, 3, 1, 1, 2, 3})
	f.Add([]byte("01002000100")) // A reader binding without members.
	f.Fuzz(func(t *testing.T, data []byte) {
		s := source(data)
		before, edit := s.policy(), s.edit()
		after, change, err := Apply(before, edit)
		if err != nil {
			t.Fatalf("an edit of service accounts must be possible: %v", err)
		}
		if err := Verify(before, after, change); err != nil {
			t.Errorf("the guard refuses an honest edit: %v", err)
		}
		if diff := cmp.Diff(others(before), others(after), protocmp.Transform()); diff != "" {
			t.Errorf("something other than the reader binding was touched\n%s", diff)
		}
		for _, member := range edit.Add {
			if !Holds(after, member) {
				t.Errorf("%s was to be added and is not there", member)
			}
		}
		for _, member := range edit.Remove {
			if Holds(after, member) {
				t.Errorf("%s was to be removed and is there", member)
			}
		}
		again, second, err := Apply(after, edit)
		if err != nil || !second.Empty() || !proto.Equal(after, again) {
			t.Errorf("twice must equal once: %v, %v", second, err)
		}
		undo(t, before, after, change)
	})
}

// undo takes an edit back: an addition to the letter, a removal up to the
// place, the spelling and the repetitions of the member.
func undo(t *testing.T, before, after *iampb.Policy, change Change) {
	t.Helper()
	restored, back, err := Apply(after, Edit{Add: change.Removed, Remove: change.Added})
	if err != nil {
		t.Fatalf("undo: %v", err)
	}
	if err := Verify(after, restored, back); err != nil {
		t.Errorf("the guard refuses the undo: %v", err)
	}
	if len(change.Removed) == 0 && !proto.Equal(before, restored) {
		t.Errorf("undoing an addition must restore the policy\n%s", cmp.Diff(before, restored, protocmp.Transform()))
	}
	if diff := cmp.Diff(unordered(before), unordered(restored)); diff != "" {
		t.Errorf("undo must restore who is a reader\n%s", diff)
	}
	for _, member := range append(slices.Clone(change.Added), change.Removed...) {
		if Holds(before, member) != Holds(restored, member) {
			t.Errorf("undo must restore whether %s is a reader", member)
		}
	}
}

// unordered are the readers of a policy, each once, as a service account is spelled
// by an edit and in order.
func unordered(policy *iampb.Policy) []string {
	var readers []string
	for _, binding := range policy.GetBindings() {
		if binding.GetRole() != "roles/artifactregistry.reader" || binding.Condition != nil {
			continue
		}
		for _, member := range binding.GetMembers() {
			if rest, account := strings.CutPrefix(member, "serviceAccount:"); account {
				member = "serviceAccount:" + strings.ToLower(rest)
			}
			readers = append(readers, member)
		}
	}
	slices.Sort(readers)
	return slices.Compact(readers)
}

// others is the policy without what an edit may touch, told independently.
func others(policy *iampb.Policy) *iampb.Policy {
	rest := proto.CloneOf(policy)
	rest.Bindings = nil
	for _, binding := range policy.GetBindings() {
		if binding.GetRole() != "roles/artifactregistry.reader" || binding.Condition != nil {
			rest.Bindings = append(rest.Bindings, binding)
		}
	}
	return rest
}

// FuzzVerify gives the guard two unrelated policies: it may only pass what the
// edit itself would have made of the first.
func FuzzVerify(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 1, 2, 0, 0, 1, 0, 0, 2, 2, 0, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := source(data)
		before, after, edit := s.policy(), s.policy(), s.edit()
		change := Change{Added: edit.Add, Removed: edit.Remove}
		if Verify(before, after, change) != nil {
			return
		}
		if diff := cmp.Diff(others(before), others(after), protocmp.Transform()); diff != "" {
			t.Errorf("the guard passed a foreign difference\n%s", diff)
		}
		for _, member := range fuzzMembers {
			added, removed := contains(change.Added, member), contains(change.Removed, member)
			if was, is := Holds(before, member), Holds(after, member); was != is && !(is && added) && !(was && removed) {
				t.Errorf("the guard passed a change of %q that was not meant", member)
			}
		}
	})
}
