// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package iampolicy is the one place that changes an IAM policy in memory, and
// the guard that compares the change with what was meant before it is sent.
//
// It is pure and knows no stage of the flow: reading and writing policies is the
// work of the cloud adapter, which may send nothing that Verify refuses.
package iampolicy

import (
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/protobuf/proto"
)

// Role is the only role this operator ever writes.
const Role = "roles/artifactregistry.reader"

// DownloadPermission is the permission that a pull needs on Artifact Registry. Role
// contains it.
const DownloadPermission = "artifactregistry.repositories.downloadArtifacts"

// MaxPrincipals is how many principals a policy may hold; every occurrence
// counts. https://cloud.google.com/iam/quotas
const MaxPrincipals = 1500

// MaxReason bounds the request reason that goes with a write, in bytes.
const MaxReason = 256

// Edit names the members that shall be in, and those that shall not be in, the
// one unconditional binding of Role. Members are "serviceAccount:EMAIL"; one
// that is named twice counts once.
type Edit struct {
	Add    []string
	Remove []string
}

// Change is what an Edit does to one policy, in the order of the Edit.
type Change struct {
	// Added were not in the binding and are put in.
	Added []string
	// Found were asked to be in and are there already.
	Found []string
	// Removed were in the binding and are taken out.
	Removed []string
	// Absent were asked to be out and are out already.
	Absent []string
}

// Empty tells whether there is nothing to write.
func (c Change) Empty() bool { return len(c.Added) == 0 && len(c.Removed) == 0 }

// Apply returns a copy of before with the edit done, and what that changes.
// Applied to its own result it changes nothing. It refuses members that are no
// service accounts, members both to add and to remove, and a policy that would
// grow beyond MaxPrincipals.
func Apply(before *iampb.Policy, edit Edit) (*iampb.Policy, Change, error) {
	if err := validate(edit); err != nil {
		return nil, Change{}, err
	}
	if before == nil {
		return nil, Change{}, ErrNoPolicy
	}
	after := proto.CloneOf(before)
	var change Change
	for i, member := range edit.Remove {
		if slices.Contains(edit.Remove[:i], member) {
			continue
		}
		if remove(after, member) {
			change.Removed = append(change.Removed, member)
		} else {
			change.Absent = append(change.Absent, member)
		}
	}
	for i, member := range edit.Add {
		if slices.Contains(edit.Add[:i], member) {
			continue
		}
		if add(after, member) {
			change.Added = append(change.Added, member)
		} else {
			change.Found = append(change.Found, member)
		}
	}
	if len(change.Added) > 0 && principals(after) > MaxPrincipals {
		return nil, Change{}, ErrTooManyPrincipals
	}
	return after, change, nil
}

// editable tells whether b is a binding this operator may touch: a binding is
// known by its role and its condition together.
func editable(b *iampb.Binding) bool { return b.GetRole() == Role && b.GetCondition() == nil }

// Holds tells whether member is in the unconditional binding of Role.
func Holds(policy *iampb.Policy, member string) bool {
	return slices.ContainsFunc(policy.GetBindings(), func(b *iampb.Binding) bool {
		return editable(b) && indexOf(b, member) >= 0
	})
}

func add(policy *iampb.Policy, member string) bool {
	if Holds(policy, member) {
		return false
	}
	for _, binding := range policy.GetBindings() {
		if editable(binding) && len(binding.GetMembers()) > 0 { // A binding of nobody is not ours to fill.
			binding.Members = append(binding.Members, member)
			return true
		}
	}
	policy.Bindings = append(policy.Bindings, &iampb.Binding{Role: Role, Members: []string{member}})
	return true
}

// remove takes member out, and a binding that it empties with it: IAM keeps no
// binding without members.
func remove(policy *iampb.Policy, member string) bool {
	removed := false
	policy.Bindings = slices.DeleteFunc(policy.Bindings, func(b *iampb.Binding) bool {
		if !editable(b) || indexOf(b, member) < 0 {
			return false
		}
		b.Members = slices.DeleteFunc(b.Members, func(m string) bool { return SameMember(m, member) })
		removed = true
		return len(b.Members) == 0
	})
	return removed
}

func indexOf(b *iampb.Binding, member string) int {
	return slices.IndexFunc(b.GetMembers(), func(m string) bool { return SameMember(m, member) })
}

// SameMember compares members as IAM does: e-mail addresses are equal in any
// case, federated identities (principal://, principalSet://) only to the letter.
func SameMember(a, b string) bool {
	if strings.HasPrefix(a, "principal") || strings.HasPrefix(b, "principal") {
		return a == b
	}
	return strings.EqualFold(a, b)
}

func principals(policy *iampb.Policy) int {
	n := 0
	for _, binding := range policy.GetBindings() {
		n += len(binding.GetMembers())
	}
	return n
}

// Write is an IAM policy after an edit.
type Write struct {
	// Change is what the edit changed, and what it found.
	Change Change
	// EtagBefore and EtagAfter are the IAM policy's etags around the write, as Google
	// writes them. They are equal if nothing was written.
	EtagBefore, EtagAfter string
}
