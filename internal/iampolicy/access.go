// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// Readers is what a policy says of the access that one member has to images.
// The zero value is no access.
type Readers struct {
	// Role lets the member in, whatever else holds.
	Role string
	// Conditional lets the member in while a condition holds, which the policy
	// alone does not tell.
	Conditional string
	// Undecided are roles of the member of which it is not known whether they let
	// it in. There are none beside a Role.
	Undecided []string
	// Groups are members of the policy that are let in and stand for many, sorted:
	// whether this member is among them, the policy does not tell.
	Groups []string
	// Deleted: an account of the same email, which was deleted, is let in.
	Deleted bool
}

// ReadersOf judges by permission, not by the name of a role. holding says of
// roles whether they hold artifactregistry.repositories.downloadArtifacts; for
// what it does not know, best known roles of Google's are known here.
// Called with nil, it lists under Undecided which roles are to be looked up.
func ReadersOf(policy *iampb.Policy, member string, holding map[string]bool) Readers {
	var readers Readers
	for _, binding := range policy.GetBindings() {
		holds, known := holding[binding.GetRole()]
		if !known {
			holds, known = googleRoles[binding.GetRole()]
		}
		if holds && binding.GetCondition() == nil {
			readers.note(binding, member)
		}
		switch {
		case !names(binding, member), known && !holds:
		case !known:
			readers.Undecided = append(readers.Undecided, binding.GetRole())
		case binding.GetCondition() != nil:
			readers.Conditional = binding.GetRole()
		case readers.Role == "":
			readers.Role = binding.GetRole()
		}
	}
	if readers.Role != "" {
		return Readers{Role: readers.Role}
	}
	for _, list := range []*[]string{&readers.Undecided, &readers.Groups} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return readers
}

// note keeps who else is let in by the binding and may turn out to be member.
func (r *Readers) note(binding *iampb.Binding, member string) {
	for _, m := range binding.GetMembers() {
		if slices.ContainsFunc(groupKinds, func(kind string) bool { return strings.HasPrefix(m, kind) }) {
			r.Groups = append(r.Groups, m)
		}
		if rest, deleted := strings.CutPrefix(m, "deleted:"); deleted {
			was, _, _ := strings.Cut(rest, "?uid=")
			r.Deleted = r.Deleted || SameMember(was, member)
		}
	}
}

// groupKinds begin the members that can stand for a service account among others.
// https://cloud.google.com/iam/docs/principal-identifiers
var groupKinds = []string{
	"group:", "domain:", "principalSet://cloudresourcemanager.googleapis.com/",
	"projectOwner:", "projectEditor:", "projectViewer:",
}

// names tells whether the binding is the member's, by name or as everybody's.
func names(binding *iampb.Binding, member string) bool {
	return slices.ContainsFunc(binding.GetMembers(), func(m string) bool {
		return SameMember(m, member) || m == "allUsers" || m == "allAuthenticatedUsers"
	})
}

// SameReaders tells whether both policies have the same members in their
// unconditional bindings of Role, in whatever order and spelling.
func SameReaders(a, b *iampb.Policy) bool {
	left, right := members(a), members(b)
	return covers(left, right) && covers(right, left)
}

// covers tells whether each of some is among all. Most are there to the letter: a
// full policy is not compared each with each.
func covers(all, some []string) bool {
	literal := make(map[string]bool, len(all))
	for _, member := range all {
		literal[member] = true
	}
	return !slices.ContainsFunc(some, func(m string) bool { return !literal[m] && !contains(all, m) })
}
