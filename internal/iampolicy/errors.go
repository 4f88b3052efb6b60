// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// What can stand in the way of an edit. The cloud adapter turns Google's codes
// into these; nobody above it reads a code of Google's.
var (
	// ErrForbidden: the operator's own account may not do this. Waiting cures nothing.
	ErrForbidden = errors.New("the operator lacks the permission")
	// ErrNotFound: there is no such repository.
	ErrNotFound = errors.New("no such repository")
	// ErrConflict: another writer changed the IAM policy after it was read. Google did not
	// apply the write.
	ErrConflict = errors.New("other writers kept changing the policy")
	// ErrUnavailable: Google did not answer, or asked to come back later. If it answered a
	// write like this, the next read shows whether it applied the write.
	ErrUnavailable = errors.New("Google's API is unavailable")
	// ErrUncertain comes beside another: Google did not answer a write. It may have applied
	// the write, and may still do so.
	ErrUncertain = errors.New("the outcome is not known")
	// ErrStale: the prepared change is out of date, and Google did not apply it. It can be
	// prepared again.
	ErrStale = errors.New("the prepared change is out of date")
	// ErrOrgPolicy: a constraint of the organization refuses the member.
	ErrOrgPolicy = errors.New("an organization policy refuses the change")
	// ErrInvalid: Google refuses the policy for another reason.
	ErrInvalid = errors.New("Google refuses the policy")
	// ErrTooManyPrincipals: the policy is full.
	ErrTooManyPrincipals = fmt.Errorf("the policy would hold more than %d principals", MaxPrincipals)
	// ErrGuard: the edit would have changed more than was meant; nothing was sent.
	ErrGuard = errors.New("the edit is not the one that was meant")
	// ErrNoPolicy: there is no policy to edit.
	ErrNoPolicy = errors.New("no policy was read")
	// ErrMember: the edit names something that is no service account.
	ErrMember = errors.New("not a service account member")
)

// MissingMemberError says that Google knows no service account of that name.
// One such member makes Google refuse the whole write.
type MissingMemberError struct {
	// Member is "serviceAccount:EMAIL".
	Member string
}

// Error implements error.
func (e *MissingMemberError) Error() string { return e.Member + " does not exist" }

// serviceAccountMember accepts user-managed accounts, default accounts and
// service agents: all end in gserviceaccount.com.
// https://cloud.google.com/iam/docs/service-account-types
var serviceAccountMember = regexp.MustCompile(`^serviceAccount:[a-z0-9][a-z0-9-]{0,62}@[a-z0-9][a-z0-9.-]{0,200}\.gserviceaccount\.com$`)

// IsServiceAccountMember tells whether an edit may name member.
func IsServiceAccountMember(member string) bool { return serviceAccountMember.MatchString(member) }

func validate(edit Edit) error {
	for _, member := range edit.Add {
		if !IsServiceAccountMember(member) {
			return fmt.Errorf("%q: %w", member, ErrMember)
		}
		if contains(edit.Remove, member) {
			return fmt.Errorf("%q is to be added and removed: %w", member, ErrMember)
		}
	}
	if i := slices.IndexFunc(edit.Remove, func(m string) bool { return !IsServiceAccountMember(m) }); i >= 0 {
		return fmt.Errorf("%q: %w", edit.Remove[i], ErrMember)
	}
	return nil
}
