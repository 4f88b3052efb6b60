// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"slices"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// Modes and format of a repository, in Google's words.
const (
	dockerFormat = "DOCKER"
	standardMode = "STANDARD_REPOSITORY"
	remoteMode   = "REMOTE_REPOSITORY"
	virtualMode  = "VIRTUAL_REPOSITORY"
)

// rule is one step of the judgement. Rules are tried in order; the first that
// applies is the diagnosis. A grant can help only where every rule before has
// found nothing against it.
type rule struct {
	reason  Reason
	help    Help
	actor   Actor
	applies func(Facts) bool
}

var rules = []rule{
	// Nothing the cloud says matters while the text is not an identity's denial on Artifact Registry.
	{Reason(pullfailure.InvalidReference), HelpNo, Developer, func(f Facts) bool { return f.ReferenceErr != nil }},
	{PushDenied, HelpNo, PlatformTeam, otherPermission},
	{NotArtifactRegistry, HelpNo, Developer, func(f Facts) bool { return f.Reference.Repository.IsZero() }},
	{DenialUnclear, HelpUnknown, PlatformTeam, func(f Facts) bool { return !f.Cause.Repairable() }},

	// Who asked. A grant to anybody else opens the repository to the wrong one.
	{FederatedPuller, HelpNo, PlatformTeam, func(f Facts) bool { return f.Puller.Other == KubernetesServiceAccount }},
	{PullSecretUsed, HelpUnknown, Developer, func(f Facts) bool { return f.Puller.Other == PullSecret }},
	{NoServiceAccount, HelpNo, PlatformTeam, func(f Facts) bool { return f.Puller.State == Missing }},
	{PullerUnknown, HelpUnknown, PlatformTeam, func(f Facts) bool { return f.Puller.Member() == "" }},
	{ScopesMissing, HelpNo, PlatformTeam, func(f Facts) bool { return !scopesSuffice(f.Puller.Scopes) }},

	// For what. The registry answers 403 for a repository that does not exist.
	{RepositoryNotFound, HelpNo, Developer, func(f Facts) bool { return f.Repository.State == Missing }},
	{RepositoryUnreadable, HelpUnknown, PlatformTeam, func(f Facts) bool { return f.Repository.State != Present }},
	{RepositoryNotDocker, HelpNo, Developer, func(f Facts) bool { return f.Repository.Format != dockerFormat }},
	{RepositoryModeUnknown, HelpUnknown, PlatformTeam, func(f Facts) bool { return !knownMode(f.Repository.Mode) }},
	{RegistryMismatch, HelpUnknown, Developer, registryDiffers},

	// Is it access that is missing?
	{WaitingForPropagation, HelpYes, Operator, func(f Facts) bool { return f.Access.State == Present && f.OwnGrant != "" && !f.OwnGrantSettled }},
	{RemovedExternally, HelpNo, PlatformTeam, func(f Facts) bool { return f.Access.State == Missing && f.OwnGrant != "" }},
	{AlreadyGranted, HelpNo, GoogleCloudAdmin, func(f Facts) bool { return f.Access.State == Present }},
	{AccessUnreadable, HelpUnknown, PlatformTeam, func(f Facts) bool { return f.Access.State != Missing }},
	{AccessMissing, HelpYes, Operator, func(Facts) bool { return true }},
}

// Diagnose weighs the facts. The zero Facts are no failure at all: a grant
// cannot help there.
func Diagnose(f Facts) Diagnosis {
	r := judge(f)
	d := Diagnosis{Reason: r.reason, Help: r.help, Actor: r.actor, Facts: f}
	d.Sentence, d.Command = explain(r.reason, f)
	d.Retry = r.help == HelpUnknown && transient(r.reason, f)
	return d
}

func judge(f Facts) rule {
	if f.ReferenceErr == nil && f.Cause.Cause != pullfailure.PermissionDenied {
		return rule{reason: causeReason(f.Cause.Cause), help: causeHelp(f.Cause.Cause), actor: causeActor(f.Cause.Cause)}
	}
	for _, r := range rules {
		if r.applies(f) {
			return r
		}
	}
	return rule{}
}

// Settled tells whether the text and the image alone decide: no fact of the
// cloud needs to be read.
func Settled(f Facts) bool {
	return f.ReferenceErr != nil || !f.Cause.Repairable() || f.Reference.Repository.IsZero()
}

// otherPermission: a text that names another permission than a pull needs is
// about something else, most often a push.
func otherPermission(f Facts) bool {
	return f.Cause.Permission != "" && f.Cause.Permission != pullfailure.DownloadPermission
}

func scopesSuffice(scopes []string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(pullScopes, s) })
}

// Openable tells whether a grant may be made on the repository at all: it was
// read, holds images, and is of a mode that this operator knows. Whether a
// virtual one may be opened is for a policy to say.
func Openable(r Repository) bool {
	return r.State == Present && r.Format == dockerFormat && knownMode(r.Mode)
}

func knownMode(mode string) bool {
	return mode == standardMode || mode == remoteMode || mode == virtualMode
}

// registryDiffers compares the repository's own address with the image's: a
// repository that is served elsewhere is not the one that refused.
// Both forms of the host, LOCATION-docker.pkg.dev and docker.LOCATION.rep.pkg.dev,
// and the gcr.io hosts are one repository, so the address is compared by what it names.
func registryDiffers(f Facts) bool {
	if f.Repository.RegistryURI == "" {
		return false
	}
	named, err := repositoryAt(f.Repository.RegistryURI)
	return err != nil || named != f.Reference.Repository
}

// transient tells whether the fact that decided may be readable in a while.
func transient(reason Reason, f Facts) bool {
	switch reason {
	case PullerUnknown:
		return f.Puller.Obstacle.Kind == Unavailable
	case RepositoryUnreadable:
		return f.Repository.Obstacle.Kind == Unavailable
	case AccessUnreadable:
		return f.Access.Obstacle.Kind == Unavailable
	default:
		return false
	}
}
