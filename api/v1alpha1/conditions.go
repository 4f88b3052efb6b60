// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Conditions of a PullAccessPolicy. A condition that is missing is Unknown.
const (
	// ConditionReady summarises: the policy is in force, or what hinders it.
	//
	// True: InForce, DryRun. False: InvalidSelector. Unknown: CloudForbidden,
	// CloudUnreachable (the policy is in force, but a repository it names cannot be read).
	ConditionReady = "Ready"

	// ConditionCloudAccess says whether the operator can read the repositories that
	// the policy names without a wildcard.
	//
	// True: RepositoriesReadable, OnlyWildcards. False: CloudForbidden,
	// CloudUnreachable, RepositoryNotFound, RepositoryUnreadable.
	ConditionCloudAccess = "CloudAccess"
)

// Reasons of a policy's conditions.
const (
	ReasonInForce              = "InForce"
	ReasonDryRun               = "DryRun"
	ReasonInvalidSelector      = "InvalidSelector"
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
	// True: PolicyEnforces. False: PolicyGone (the policy was deleted, narrowed or
	// set to DryRun before the grant was written; nothing is written).
	ConditionApproved = "Approved"

	// ConditionGranted says that the member is in the repository's policy.
	//
	// True: AccessGranted, AlreadyThere. False: Granting, Revoked, and why it cannot be done:
	// CloudForbidden, AccountNotFound, OrganizationPolicy, RepositoryNotFound,
	// TooManyPrincipals, PolicyGone, WriteRefused. Unknown: CloudUnreachable,
	// Conflict (tried again by itself).
	ConditionGranted = "Granted"

	// ConditionEffective says that a pull was seen to work after the grant.
	//
	// True: PullWorked. False: Ineffective. Unknown: WaitingForPropagation.
	ConditionEffective = "Effective"
)

// Reasons of a grant's conditions. Ready takes the reason of the worst of the
// others, or one of its own: Recovered, Restarting, WaitingForPropagation, LeftToKubelet, NoWorkload.
const (
	ReasonPolicyEnforces        = "PolicyEnforces"
	ReasonPolicyGone            = "PolicyGone"
	ReasonGranting              = "Granting"
	ReasonAccessGranted         = "AccessGranted"
	ReasonAlreadyThere          = "AlreadyThere"
	ReasonRevoked               = "Revoked"
	ReasonAccountNotFound       = "AccountNotFound"
	ReasonOrganizationPolicy    = "OrganizationPolicy"
	ReasonTooManyPrincipals     = "TooManyPrincipals"
	ReasonWriteRefused          = "WriteRefused"
	ReasonConflict              = "Conflict"
	ReasonPullWorked            = "PullWorked"
	ReasonIneffective           = "Ineffective"
	ReasonWaitingForPropagation = "WaitingForPropagation"
	ReasonRestarting            = "Restarting"
	ReasonLeftToKubelet         = "LeftToKubelet"
	ReasonRecovered             = "Recovered"
)

// Finalizer is set on a grant before anything is written in the cloud.
const Finalizer = "pullaccess.dev/revoke"
