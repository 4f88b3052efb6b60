// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"slices"
	"strings"
	"time"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
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

// ofAll come first, whatever the text says.
var ofAll = []rule{
	{SandboxImage, HelpNo, PlatformTeam, func(f Facts) bool { return f.Sandbox }},
	{invalidReference, HelpNo, Developer, func(f Facts) bool { return f.ReferenceErr != nil }},
}

// What the repository's own facts rule out, whoever asks.
var (
	noRepository = rule{RepositoryNotFound, HelpNo, Developer, func(f Facts) bool { return f.Repository.State == Missing }}
	notDocker    = rule{RepositoryNotDocker, HelpNo, Developer, func(f Facts) bool {
		return f.Repository.State == Present && f.Repository.Format != dockerFormat
	}}
)

// ofAnonymous are tried when nobody, or nobody known, asked Artifact Registry.
var ofAnonymous = []rule{
	{FederatedPuller, HelpNo, PlatformTeam, func(f Facts) bool { return f.Puller.Federated == Present }},
	{NoServiceAccount, HelpNo, PlatformTeam, func(f Facts) bool { return f.Puller.State == Missing && f.Puller.Alone() }},
	{ScopesMissing, HelpNo, PlatformTeam, func(f Facts) bool {
		return f.Puller.State == Present && !f.Puller.scopesSuffice() && f.Puller.Alone()
	}},
}

// ofAbsent are tried when the registry found nothing under the image's name.
var ofAbsent = []rule{
	noRepository,
	notDocker,
	{imageNotFound, HelpNo, Developer, func(f Facts) bool { return f.Repository.State == Present }},
}

// ofDenial are tried when somebody was refused.
var ofDenial = []rule{
	// Nothing the cloud says matters while the text is not an identity's denial on Artifact Registry.
	{PublicImage, HelpNo, PlatformTeam, func(f Facts) bool { return f.Reference.Public() }},
	{NotArtifactRegistry, HelpNo, Developer, func(f Facts) bool { return f.Reference.Repository.IsZero() }},
	{PushDenied, HelpNo, PlatformTeam, pushDenied},
	{MirrorRefused, HelpUnknown, PlatformTeam, func(f Facts) bool { return !f.Cause.Repairable() && f.Cause.Mirror }},
	{DenialUnclear, HelpUnknown, PlatformTeam, func(f Facts) bool { return !f.Cause.Repairable() }},

	// The registry answers 403 for a repository that does not exist, whoever asks.
	noRepository,
	notDocker,

	// Who asked. A grant to anybody else opens the repository to the wrong one.
	{FederatedPuller, HelpNo, PlatformTeam, func(f Facts) bool { return f.Puller.Federated == Present }},
	{PullSecretUsed, HelpUnknown, Developer, func(f Facts) bool { return !f.Puller.Alone() }},
	{permissionDenied, HelpUnknown, PlatformTeam, nothingRead},
	{PullerUnknown, HelpUnknown, PlatformTeam, func(f Facts) bool { return f.Puller.Federated != Missing }},
	{NoServiceAccount, HelpNo, PlatformTeam, func(f Facts) bool { return f.Puller.State == Missing }},
	{PullerUnknown, HelpUnknown, PlatformTeam, func(f Facts) bool { return f.Puller.Member() == "" }},
	{ScopesMissing, HelpNo, PlatformTeam, func(f Facts) bool { return !f.Puller.scopesSuffice() }},

	// For what.
	{apiDisabled, HelpNo, GoogleCloudAdmin, func(f Facts) bool { k := f.Repository.Obstacle.Kind; return k == APIOff || k == BillingOff }},
	{vpcServiceControls, HelpNo, GoogleCloudAdmin, func(f Facts) bool { return f.Repository.Obstacle.Kind == Perimeter }},
	{RepositoryUnreadable, HelpUnknown, PlatformTeam, func(f Facts) bool { return f.Repository.State != Present }},
	{RepositoryModeUnknown, HelpUnknown, PlatformTeam, func(f Facts) bool { return !knownMode(f.Repository.Mode) }},
	{RegistryMismatch, HelpUnknown, Developer, registryDiffers},

	// Is it access that is missing?
	{DeniedByPolicy, HelpNo, GoogleCloudAdmin, func(f Facts) bool { return f.Overall.Denied }},
	{WaitingForPropagation, HelpYes, Operator, func(f Facts) bool { return f.Access.State == Present && f.OwnGrant != "" && !f.OwnGrantSettled }},
	{RemovedExternally, HelpNo, PlatformTeam, func(f Facts) bool {
		return f.Access.State == Missing && f.OwnGrant != "" && !f.OwnGrantFound && !letIn(f)
	}},
	{AlreadyGranted, HelpNo, GoogleCloudAdmin, letIn},
	{AccessUnreadable, HelpUnknown, PlatformTeam, func(f Facts) bool { return f.Access.State != Missing }},
	{imageNotFound, HelpNo, Developer, func(f Facts) bool { return f.Content.State == Missing && HoldsImages(f.Repository) }},
	{AccessMissing, HelpYes, Operator, func(Facts) bool { return true }},
}

// Diagnose weighs the facts. The zero Facts are no failure at all: a grant
// cannot help there.
func Diagnose(f Facts) Diagnosis {
	r := judge(f)
	d := Diagnosis{
		Reason: r.reason, Help: r.help, Actor: r.actor, Facts: f,
		Sentence: sentence(r.reason, f),
		Command:  command(r.reason, f),
		Unknowns: unknowns(f),
	}
	if d.Help == HelpUnknown {
		d.RetryAfter = retryAfter(d.Reason, f)
	}
	return d
}

func judge(f Facts) rule {
	rules := ofAll
	switch f.Cause.Cause {
	case pullfailure.PermissionDenied:
		rules = slices.Concat(rules, ofDenial)
	case pullfailure.ImageNotFound, pullfailure.RepositoryNotFound:
		rules = slices.Concat(rules, ofAbsent)
	case pullfailure.Unauthenticated:
		rules = slices.Concat(rules, ofAnonymous)
	default: // The text decides.
	}
	for _, r := range rules {
		if r.applies(f) {
			return r
		}
	}
	return rule{reason: causeReason(f.Cause.Cause), help: causeHelp(f.Cause.Cause), actor: causeActor(f.Cause.Cause)}
}

// pushDenied: a text that names a permission to write is about something else than
// the pull. One that names another to read is not repairable, and unclear.
func pushDenied(f Facts) bool {
	return slices.ContainsFunc([]string{"upload", "delete", "create"}, func(verb string) bool {
		return strings.Contains(f.Cause.Permission, verb)
	})
}

// nothingRead: neither the cluster nor the cloud was asked, as when a file is explained.
func nothingRead(f Facts) bool {
	return f.Puller.State == Unknown && f.Puller.Obstacle.Kind == NotRead &&
		f.Repository.State == Unknown && f.Repository.Obstacle.Kind == NotRead
}

// letIn: by the repository's policy, or by one above it.
func letIn(f Facts) bool {
	return f.Access.State == Present || f.ProjectAccess.State == Present || f.Overall.State == Present
}

// soonest is the delay before a fact is read again if no RetryAfter is known.
const soonest = time.Second

// retryAfter returns the delay until the decisive fact may be readable, 0 if waiting does
// not help.
func retryAfter(reason Reason, f Facts) time.Duration {
	var decisive Obstacle
	switch reason {
	case PullerUnknown:
		decisive = f.Puller.Obstacle
	case RepositoryUnreadable:
		decisive = f.Repository.Obstacle
	case AccessUnreadable:
		decisive = f.Access.Obstacle
	default: // The decisive fact was read.
	}
	if decisive.Kind != Unavailable {
		return 0
	}
	return max(decisive.RetryAfter, soonest)
}
