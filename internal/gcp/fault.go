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
	// forbidden: Google reports that the asking account lacks a permission.
	forbidden
	// refused: Google denies access to the asking account for another reason, or names none.
	refused
	// quotaProjectDenied: the asking account may not use its quota project.
	quotaProjectDenied
	// consumerInvalid: the project of the call does not exist, or its ID is wrong.
	consumerInvalid
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
	// consumer is the project that causes the error, "projects/" and its number or ID, ""
	// if Google does not name it.
	consumer string
	// service is the API that is not enabled there, "" if Google does not name it.
	service string
	// identifier is the unique identifier of a denial by VPC Service Controls. Each denial
	// has a new one.
	identifier string
	// vague: Google rejects the request and does not say which part of it.
	vague bool
	// location is the location of the request, if it may be the cause.
	location string
	// account is the email of a missing account.
	account string
	// retryAfter is when Google asks to come back, 0 if it does not say.
	retryAfter time.Duration
	// uncertain says that a write was not answered, or by a proxy: it may be applied later.
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

// Obstacle returns the fault as an obstacle of a diagnosis.
func (f *fault) Obstacle() diagnosis.Obstacle { return f.obstacle("") }

// LacksPermission reports whether Google says that a permission is missing.
func (f *fault) LacksPermission() bool { return f.kind == forbidden }

// Unwrap gives the error that those above know.
func (f *fault) Unwrap() error { return f.sentinel() }

// sentinel is nil for what is no outcome of an edit.
func (f *fault) sentinel() error {
	switch f.kind {
	case forbidden, refused, quotaProjectDenied, consumerInvalid, unknownCaller, apiOff, billingOff, perimeter:
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

// otherAPIMayTell reports whether the API denies access to the caller, so that another API
// may provide the fact.
func (f *fault) otherAPIMayTell() bool {
	switch f.kind {
	case forbidden, refused, quotaProjectDenied, consumerInvalid, apiOff, billingOff, perimeter:
		return true
	default:
		return false
	}
}

// obstacle says why a fact is unknown; permission is what reading it takes. Of a
// project that may not be the one asked about, Client.obstacle judges.
func (f *fault) obstacle(permission string) diagnosis.Obstacle {
	o := diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: f.detail, Consumer: projectOf(f.consumer), Service: f.service, Identifier: f.identifier}
	switch f.kind {
	case forbidden:
		o.Kind, o.Permission = diagnosis.Forbidden, cmp.Or(f.permission, permission)
	case refused, unknownCaller:
		o.Kind = diagnosis.Forbidden // No known permission helps.
	case quotaProjectDenied:
		o.Kind = diagnosis.QuotaProjectDenied
	case consumerInvalid:
		o.Kind = diagnosis.ConsumerInvalid
	case apiOff:
		o.Kind = diagnosis.APIOff
	case billingOff:
		o.Kind = diagnosis.BillingOff
	case invalid:
		if f.location != "" {
			o.Kind = diagnosis.InvalidLocation
		}
	case perimeter:
		o.Kind = diagnosis.Perimeter
	case unavailable, conflict, noCredentials:
		o.Kind, o.RetryAfter, o.NoCredentials = diagnosis.Unavailable, f.retryAfter, f.kind == noCredentials
	default: // Asking again brings the same answer.
	}
	return o
}
