// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pullfailure finds the containers of a Pod that cannot pull their
// image, and reads from the text that the kubelet shows what the cause is.
//
// It is the second judgement of the flow and pure. The text comes from outside:
// what it names (a permission, a resource) is shown and never acted upon, and
// what it does not settle stays Ambiguous.
package pullfailure

import "strings"

// Cause is why a pull failed, as far as the text tells.
type Cause string

// The causes are a closed set: values of the API, of metric labels and of the command line.
const (
	// PermissionDenied: the registry refused the caller. Verdict tells if it was an identity.
	PermissionDenied Cause = "PermissionDenied"
	// Unauthenticated: no credential was sent, or the one sent is not valid.
	Unauthenticated Cause = "Unauthenticated"
	// ImageNotFound: no such tag, digest or image.
	ImageNotFound Cause = "ImageNotFound"
	// RepositoryNotFound: the registry says that the whole repository is missing.
	RepositoryNotFound Cause = "RepositoryNotFound"
	// VPCServiceControls: a service perimeter refused the request.
	VPCServiceControls Cause = "VPCServiceControls"
	// APIDisabled: the registry's API, or billing, is off in the project.
	APIDisabled Cause = "APIDisabled"
	// RateLimited: the registry, or the kubelet itself, wants fewer pulls.
	RateLimited Cause = "RateLimited"
	// Network: the registry's answer never came: DNS, routes, proxies, time-outs, resets.
	Network Cause = "Network"
	// TLS: both sides met, and did not agree on certificates or on the protocol.
	TLS Cause = "TLS"
	// RegistryUnavailable: the registry answered that it can't answer.
	RegistryUnavailable Cause = "RegistryUnavailable"
	// InvalidReference: the image's name is none.
	InvalidReference Cause = "InvalidReference"
	// PlatformMismatch: the image exists, but not for the node's platform.
	PlatformMismatch Cause = "PlatformMismatch"
	// DiskPressure: the node has no room for the image.
	DiskPressure Cause = "DiskPressure"
	// PolicyRejected: a signature or vulnerability policy refused the image.
	PolicyRejected Cause = "PolicyRejected"
	// CredentialProvider: the node could not obtain a credential.
	CredentialProvider Cause = "CredentialProvider"
	// CorruptContent: what came is not what was announced, or not what the runtime can unpack.
	CorruptContent Cause = "CorruptContent"
	// Cancelled: the pull was given up before anything was learnt.
	Cancelled Cause = "Cancelled"
	// NeverPull: the pod forbids pulling, and the node has no such image.
	NeverPull Cause = "NeverPull"
	// BackOff: the text says that pulling fails, and holds no cause.
	BackOff Cause = "BackOff"
	// Ambiguous: the text supports several causes; the verdict lists them.
	Ambiguous Cause = "Ambiguous"
	// NotPullFailure: the text is not about pulling an image.
	NotPullFailure Cause = "NotPullFailure"
)

// causes is in the order of the bits of a causeSet.
var causes = [...]Cause{
	PermissionDenied, Unauthenticated, ImageNotFound, RepositoryNotFound, VPCServiceControls, APIDisabled,
	RateLimited, Network, TLS, RegistryUnavailable, InvalidReference, PlatformMismatch, DiskPressure,
	PolicyRejected, CredentialProvider, CorruptContent, Cancelled, NeverPull, BackOff, Ambiguous, NotPullFailure,
}

// Causes lists all causes, for label sets and enums.
func Causes() []Cause { return append([]Cause(nil), causes[:]...) }

// CredentialSent tells whether the failed request carried a credential.
type CredentialSent string

// The zero value is CredentialUnknown: a text that does not say is no promise.
const (
	CredentialUnknown CredentialSent = ""
	CredentialYes     CredentialSent = "Yes"
	CredentialNo      CredentialSent = "No"
)

// String is the value for people: the zero value reads Unknown.
func (c CredentialSent) String() string {
	if c == CredentialUnknown {
		return "Unknown"
	}
	return string(c)
}

// MarshalText writes yes, no or unknown.
func (c CredentialSent) MarshalText() ([]byte, error) {
	return []byte(strings.ToLower(c.String())), nil
}

// Verdict is what one text supports.
type Verdict struct {
	// Cause is empty only in the zero Verdict, which is no verdict.
	Cause Cause
	// Candidates are the causes that the text supports, when Cause is Ambiguous.
	Candidates []Cause
	// Evidence is the span of the text that Cause rests on, fit to be shown.
	Evidence string
	// HTTPStatus is the registry's status code, when the text holds it.
	HTTPStatus int
	// Permission and Resource are named in the text. They are shown, never acted upon.
	Permission string
	Resource   string
	// CredentialSent tells whether an identity, or nobody, was refused.
	CredentialSent CredentialSent
	// Host is who answered, or was asked and did not, where the text names it. For display only.
	Host string
	// Mirror: Host is not the image's registry, but a mirror, or one that the registry sends to.
	Mirror bool
	// Upstream: the registry speaks of one behind it, as a remote repository does.
	Upstream bool

	repairable bool
}

// Repairable tells whether the text leaves it open that a grant on the image's
// own repository heals the failure: an identity was refused the download of an
// image on a Google host. It MUST be false for everything else; only Classify
// can make it true. It is a condition for a grant, never a reason for one.
func (v Verdict) Repairable() bool { return v.repairable && v.Cause == PermissionDenied }
