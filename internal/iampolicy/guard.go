// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"fmt"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/protobuf/proto"
)

// Verify refuses a policy whose difference from what was read is anything but
// the change: exactly these service accounts in or out of the unconditional
// binding of Role, and nothing else moved, dropped, reordered or added.
//
// It does not repeat the edit: it takes the change away from both policies, and
// what is left must be one and the same. It shares no code with the edit but
// the comparison of members, so that a fault there is caught here.
func Verify(before, after *iampb.Policy, change Change) error {
	if before == nil || after == nil {
		return ErrNoPolicy
	}
	if len(before.GetEtag()) == 0 {
		return fmt.Errorf("%w: the policy was read without an etag", ErrGuard)
	}
	if err := verifyMembers(members(before), members(after), change); err != nil {
		return err
	}
	if !proto.Equal(without(before, change.Removed), without(after, change.Added)) {
		return fmt.Errorf("%w: the policy differs by more than the members meant", ErrGuard)
	}
	if grown := len(after.GetBindings()) - len(before.GetBindings()); grown > 1 ||
		grown == 1 && (len(change.Added) == 0 || len(members(before)) > 0) {
		return fmt.Errorf("%w: there is a binding too many", ErrGuard)
	}
	return nil
}

// verifyMembers wants each added member to be there once, and each removed one
// to have been there and to be gone. Only service accounts may come or go.
func verifyMembers(before, after []string, change Change) error {
	for _, member := range change.Added {
		if !IsServiceAccountMember(member) {
			return fmt.Errorf("%w: a member to add is no service account", ErrGuard)
		}
		if count(after, member) != 1 || count(change.Added, member) != 1 {
			return fmt.Errorf("%w: a member to add is not there once", ErrGuard)
		}
	}
	for _, member := range change.Removed {
		if !IsServiceAccountMember(member) {
			return fmt.Errorf("%w: a member to remove is no service account", ErrGuard)
		}
		if count(before, member) == 0 || count(after, member) != 0 {
			return fmt.Errorf("%w: a member to remove was not there, or still is", ErrGuard)
		}
	}
	return nil
}

// without is a copy of policy in which no unconditional binding of Role holds
// one of gone; a binding that held nobody else is left out.
func without(policy *iampb.Policy, gone []string) proto.Message {
	rest := proto.CloneOf(policy)
	rest.Bindings = nil
	for _, binding := range policy.GetBindings() {
		if binding.GetRole() != Role || binding.GetCondition() != nil ||
			!slices.ContainsFunc(binding.GetMembers(), func(m string) bool { return contains(gone, m) }) {
			rest.Bindings = append(rest.Bindings, binding)
			continue
		}
		reduced := proto.CloneOf(binding)
		reduced.Members = slices.DeleteFunc(reduced.GetMembers(), func(m string) bool { return contains(gone, m) })
		if len(reduced.GetMembers()) > 0 {
			rest.Bindings = append(rest.Bindings, reduced)
		}
	}
	return rest
}

// members lists the unconditional readers, over all their bindings, in order.
func members(policy *iampb.Policy) []string {
	var all []string
	for _, binding := range policy.GetBindings() {
		if binding.GetRole() == Role && binding.GetCondition() == nil {
			all = append(all, binding.GetMembers()...)
		}
	}
	return all
}

func contains(members []string, member string) bool { return count(members, member) > 0 }

// count tells how many of members are member.
func count(members []string, member string) int {
	n := 0
	for _, m := range members {
		if SameMember(m, member) {
			n++
		}
	}
	return n
}
