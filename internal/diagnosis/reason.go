// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"strings"
	"time"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// Reason is what a diagnosis comes to. It is shared by events, conditions, logs
// and metrics. A cause that no fact refines is a reason under its own name.
type Reason string

// The reasons beyond the causes, a closed list.
const (
	// AccessMissing: the puller may not read the repository. A grant helps.
	AccessMissing Reason = "AccessMissing"
	// WaitingForPropagation: the operator granted the access, and it has not taken effect yet.
	WaitingForPropagation Reason = v1alpha1.ReasonWaitingForPropagation
	// RemovedExternally: the operator granted the access, and somebody took it away.
	RemovedExternally Reason = "RemovedExternally"
	// AlreadyGranted: the puller is let in, and still it is refused.
	AlreadyGranted Reason = "AlreadyGranted"
	// DeniedByPolicy: an IAM deny policy refuses the puller, whatever it is granted.
	DeniedByPolicy Reason = "DeniedByPolicy"
	// DenialUnclear: something was denied, and the text does not show that it was
	// an identity by the image's own registry.
	DenialUnclear Reason = "DenialUnclear"
	// MirrorRefused: it was not the image's own registry that refused.
	MirrorRefused Reason = "MirrorRefused"
	// PushDenied: what is denied is not the download.
	PushDenied Reason = "PushDenied"
	// NotArtifactRegistry: the image's registry is not one that the operator can open.
	NotArtifactRegistry Reason = "NotArtifactRegistry"
	// PublicImage: the image is kept by Google or the community for everybody.
	PublicImage Reason = "PublicImage"
	// SandboxImage: the node cannot pull the image of the pod's sandbox.
	SandboxImage Reason = "SandboxImage"
	// PullerUnknown: it cannot be told which identity pulls.
	PullerUnknown Reason = "PullerUnknown"
	// PullSecretUsed: the pod's pull secrets may be what was refused.
	PullSecretUsed Reason = "PullSecretUsed"
	// FederatedPuller: the pod's Kubernetes service account pulls, not the node.
	FederatedPuller Reason = "FederatedPuller"
	// NoServiceAccount: the node has no service account.
	NoServiceAccount Reason = "NoServiceAccount"
	// ScopesMissing: the node's OAuth scopes keep every pull out, whatever IAM says.
	ScopesMissing Reason = "ScopesMissing"
	// RepositoryNotFound: there is no such repository, or no such project.
	RepositoryNotFound Reason = "RepositoryNotFound"
	// RepositoryNotDocker: the repository holds something else than images.
	RepositoryNotDocker Reason = "RepositoryNotDocker"
	// RepositoryModeUnknown: the repository is of a kind that this operator does not know.
	RepositoryModeUnknown Reason = "RepositoryModeUnknown"
	// RegistryMismatch: the repository is served under another name than the image's.
	RegistryMismatch Reason = "RegistryMismatch"
	// RepositoryUnreadable: the repository cannot be read.
	RepositoryUnreadable Reason = "RepositoryUnreadable"
	// AccessUnreadable: the repository's IAM policy cannot be read, or not be judged.
	AccessUnreadable Reason = "AccessUnreadable"

	// Causes that facts lead to as well.
	permissionDenied   = Reason(pullfailure.PermissionDenied)
	imageNotFound      = Reason(pullfailure.ImageNotFound)
	apiDisabled        = Reason(pullfailure.APIDisabled)
	vpcServiceControls = Reason(pullfailure.VPCServiceControls)
	invalidReference   = Reason(pullfailure.InvalidReference)
)

// Reasons lists all reasons, for label sets.
func Reasons() []Reason {
	all := []Reason{
		AccessMissing, WaitingForPropagation, RemovedExternally, AlreadyGranted, DeniedByPolicy, DenialUnclear, MirrorRefused,
		PushDenied, NotArtifactRegistry, PublicImage, SandboxImage, PullerUnknown, PullSecretUsed, FederatedPuller,
		NoServiceAccount, ScopesMissing, RepositoryNotDocker, RepositoryModeUnknown, RegistryMismatch, RepositoryUnreadable,
		AccessUnreadable,
	}
	for _, cause := range pullfailure.Causes() {
		all = append(all, Reason(cause))
	}
	return all
}

// pages is the document that says of every reason what it means and how to mend it.
const pages = "https://github.com/pull-access/pull-access-operator/blob/main/docs/reasons.md"

// Page is where the reason is explained.
func (r Reason) Page() string { return pages + "#" + strings.ToLower(string(r)) }

// Help says whether a grant can help.
type Help string

// The zero value is HelpUnknown, which never leads to a grant.
const (
	HelpUnknown Help = ""
	HelpNo      Help = "No"
	HelpYes     Help = "Yes"
)

// String is the value for people: the zero value reads Unknown.
func (h Help) String() string {
	if h == HelpUnknown {
		return "Unknown"
	}
	return string(h)
}

// Actor is who must act next.
type Actor string

// The actors are a closed list; the zero value is nobody in particular.
const (
	Operator         Actor = "Operator"
	PlatformTeam     Actor = "PlatformTeam"
	Developer        Actor = "Developer"
	GoogleCloudAdmin Actor = "GoogleCloudAdmin"
	Nobody           Actor = "Nobody"
)

// Diagnosis is the judgement on one failure.
type Diagnosis struct {
	Reason Reason
	Help   Help
	Actor  Actor
	// Sentence says in one sentence what is wrong and what to do.
	Sentence string
	// Command is what a person can paste next.
	Command string
	// Unknowns says of each fact that was asked for, or would be worth asking for,
	// and is not known why it is not: the first suspects when a grant does not help.
	Unknowns []string
	// Facts is what the diagnosis rests on.
	Facts Facts
	// RetryAfter is the delay until an unread fact may be readable, 0 if waiting does not help.
	RetryAfter time.Duration
}

// Virtual tells whether the repository is a virtual one: a grant there opens all
// its upstream repositories.
func (d Diagnosis) Virtual() bool { return IsVirtual(d.Facts.Repository) }

// IsVirtual tells whether the repository is a virtual one.
func IsVirtual(r Repository) bool { return r.Mode == virtualMode }
