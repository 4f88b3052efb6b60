// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"cmp"
	"time"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// kind is what an error of Google's means to us.
type kind int

const (
	// senseless is the zero value: an answer that is none.
	senseless kind = iota
	// invalid: Google refuses what was asked; asking again is refused again.
	invalid
	// forbidden: somebody has to allow it first.
	forbidden
	// unknownCaller: the credentials themselves are not accepted.
	unknownCaller
	// apiOff: the API is not enabled in the project.
	apiOff
	// billingOff: the project has no billing account.
	billingOff
	// perimeter: VPC Service Controls keep the caller out.
	perimeter
	// notFound: what was asked for is not there.
	notFound
	// conflict: somebody else wrote since the policy was read.
	conflict
	// unavailable: Google did not answer, or asks to come back later.
	unavailable
	// orgPolicy: a constraint of the organization refuses the change.
	orgPolicy
	// missingAccount: the policy names a service account that is not there.
	missingAccount
	// noCredentials: there is nothing to ask with.
	noCredentials
)

// fault is an error of Google's in our words.
type fault struct {
	kind kind
	// detail is one plain sentence without a full stop, bounded and printable.
	detail string
	// permission is what the asking account lacks, if Google names it.
	permission string
	// consumer is the project whose API or billing is off, "projects/" and its number
	// or ID, "" if Google does not name it.
	consumer string
	// account is the email of a missing account.
	account string
	// retryAfter is when Google asks to come back, 0 if it does not say.
	retryAfter time.Duration
	// uncertain says that a write may have taken effect all the same.
	uncertain bool
}

// Error implements error. It repeats no body of Google's.
func (f *fault) Error() string {
	if sentinel := f.sentinel(); sentinel != nil {
		return sentinel.Error() + ": " + f.detail
	}
	return f.detail
}

// Detail is what Google said, in one plain sentence without a full stop.
func (f *fault) Detail() string { return f.detail }

// Unwrap gives the error that those above know.
func (f *fault) Unwrap() error { return f.sentinel() }

// sentinel is nil for what is no outcome of an edit.
func (f *fault) sentinel() error {
	switch f.kind {
	case forbidden, unknownCaller, apiOff, billingOff, perimeter:
		return iampolicy.ErrForbidden
	case notFound:
		return iampolicy.ErrNotFound
	case conflict:
		return iampolicy.ErrConflict
	case orgPolicy:
		return iampolicy.ErrOrgPolicy
	case invalid, missingAccount:
		return iampolicy.ErrInvalid
	default:
		return iampolicy.ErrUnavailable
	}
}

// retryable tells whether the same read-modify-write may succeed in a while.
func (f *fault) retryable() bool {
	return f.kind == conflict || f.kind == unavailable || f.kind == senseless
}

// refused tells whether the API keeps the caller out, so that another API may
// know what this one does not tell.
func (f *fault) refused() bool {
	switch f.kind {
	case forbidden, apiOff, billingOff, perimeter:
		return true
	default:
		return false
	}
}

// obstacle says why a fact is unknown; permission is what reading it takes. Of a
// project that may not be the one asked about, Client.obstacle judges.
func (f *fault) obstacle(permission string) diagnosis.Obstacle {
	o := diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: f.detail}
	switch f.kind {
	case forbidden:
		o.Kind, o.Permission = diagnosis.Forbidden, cmp.Or(f.permission, permission)
	case unknownCaller:
		o.Kind = diagnosis.Forbidden // No permission would help.
	case apiOff:
		o.Kind = diagnosis.APIOff
	case billingOff:
		o.Kind = diagnosis.BillingOff
	case perimeter:
		o.Kind = diagnosis.Perimeter
	case unavailable, conflict, noCredentials:
		o.Kind = diagnosis.Unavailable
	default: // Asking again brings the same answer.
	}
	return o
}
