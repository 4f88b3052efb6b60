// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Conditions of a PullAccessPolicy. A condition that is missing is Unknown.
const (
	// ConditionReady summarises: of a policy, whether it is in force; of a grant,
	// whether all that waited for it has recovered. It names the worst of the
	// other conditions.
	//
	// Of a policy: True: Enforcing, Approve, DryRun. False: InvalidSelector, Paused,
	// NoNamespaceSelected, CloudForbidden, RepositoryNotFound, RepositoryUnreadable,
	// and all of WithinLimits'. Unknown (in force, but it may not work):
	// CloudUnreachable.
	//
	// Of a grant: True: Recovered. False: Granting, WaitingForPropagation,
	// Restarting, LeftToKubelet, Stuck, Ineffective, RevocationScheduled,
	// RevocationsPerHour (the revocation waits for a limit), and all of Granted's.
	// Unknown: Granting, NoWorkload (granted, and nobody on record has used it),
	// and all of Granted's.
	ConditionReady = "Ready"

	// ConditionCloudAccess says whether the operator can read the repositories that
	// the policy names without a wildcard.
	//
	// True: RepositoriesReadable, OnlyWildcards. False: CloudForbidden,
	// CloudUnreachable, RepositoryNotFound, RepositoryUnreadable.
	ConditionCloudAccess = "CloudAccess"

	// ConditionWithinLimits says whether the policy's limits hold anything back.
	//
	// True: WithinLimits. False: GrantsPerHour, RestartsPerHour, RevocationsPerHour,
	// CircuitBreaker; the message says until when.
	ConditionWithinLimits = "WithinLimits"
)

// Reasons of a policy's conditions.
const (
	ReasonEnforcing            = "Enforcing"
	ReasonDryRun               = "DryRun"
	ReasonApprove              = "Approve"
	ReasonPaused               = "Paused"
	ReasonWithinLimits         = "WithinLimits"
	ReasonInvalidSelector      = "InvalidSelector"
	ReasonNoNamespaceSelected  = "NoNamespaceSelected"
	ReasonRepositoriesReadable = "RepositoriesReadable"
	ReasonOnlyWildcards        = "OnlyWildcards"
	ReasonCloudForbidden       = "CloudForbidden"
	ReasonCloudUnreachable     = "CloudUnreachable"
	ReasonRepositoryNotFound   = "RepositoryNotFound"
	ReasonRepositoryUnreadable = "RepositoryUnreadable"
)

// Conditions of a PullAccessGrant, besides Ready.
const (
	// ConditionApproved says that somebody who may has allowed the grant.
	//
	// True: PolicyEnforces, Approved (by a person). Unknown: WaitingForApproval.
	// False: Denied, Lapsed, PolicyChanged (void: the policy is another than the one
	// it was proposed under), PolicyGone (the policy was deleted, narrowed, paused or
	// set to DryRun before the grant was written; nothing is written).
	ConditionApproved = "Approved"

	// ConditionGranted says that the member is in the repository's policy.
	//
	// True: AccessGranted, AlreadyGranted. False: Granting, and why it cannot be
	// done: CloudForbidden, AccountNotFound, OrganizationPolicy, RepositoryNotFound,
	// RepositoryUnreadable, TooManyPrincipals, WriteRefused; why it waits:
	// GrantsPerHour, CircuitBreaker; why it has ended: PolicyGone, Expired, Unused, Revoked,
	// RemovedExternally, RemovedByOwner, Denied, Lapsed, PolicyChanged. Unknown (goes on by itself):
	// CloudUnreachable, Conflict, WaitingForApproval.
	ConditionGranted = "Granted"

	// ConditionEffective says that a pull was seen to work after the grant.
	//
	// True: PullWorked. False: Ineffective. Unknown: WaitingForPropagation,
	// and why it has ended.
	ConditionEffective = "Effective"
)

// Reasons of a grant's conditions and of the events that go with them; those of a
// grant that has ended are EndReason's, those of one that waits for a limit are Limit's.
const (
	ReasonPolicyEnforces        = "PolicyEnforces"
	ReasonWaitingForApproval    = "WaitingForApproval"
	ReasonApproved              = "Approved"
	ReasonPolicyGone            = "PolicyGone"
	ReasonRevocationScheduled   = "RevocationScheduled"
	ReasonGranting              = "Granting"
	ReasonAccessGranted         = "AccessGranted"
	ReasonAlreadyGranted        = "AlreadyGranted"
	ReasonAccessRevoked         = "AccessRevoked"
	ReasonAccountNotFound       = "AccountNotFound"
	ReasonOrganizationPolicy    = "OrganizationPolicy"
	ReasonTooManyPrincipals     = "TooManyPrincipals"
	ReasonWriteRefused          = "WriteRefused"
	ReasonConflict              = "Conflict"
	ReasonPullWorked            = "PullWorked"
	ReasonIneffective           = "Ineffective"
	ReasonWaitingForPropagation = "WaitingForPropagation"
	ReasonRestarting            = "Restarting"
	ReasonStuck                 = "Stuck"
	ReasonLeftToKubelet         = "LeftToKubelet"
	ReasonRecovered             = "Recovered"
	ReasonNoWorkload            = "NoWorkload"
)

// Finalizer is set on a grant before anything is written in the cloud.
const Finalizer = "pullaccess.dev/revoke"
