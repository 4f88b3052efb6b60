// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultGracePeriod is what an unset gracePeriod means.
const DefaultGracePeriod = 5 * time.Minute

// KeepRevoke says what becomes of a grant.
// +kubebuilder:validation:Enum=Keep;Revoke
type KeepRevoke string

const (
	// Keep leaves it as it is.
	Keep KeepRevoke = "Keep"
	// Revoke takes it back.
	Revoke KeepRevoke = "Revoke"
)

// Renewal says whether a grant that is in use outlives its time.
// +kubebuilder:validation:Enum=Never;WhileUsed
type Renewal string

const (
	// RenewNever ends it at its time.
	RenewNever Renewal = "Never"
	// RenewWhileUsed gives it the same time again while pods use it.
	RenewWhileUsed Renewal = "WhileUsed"
)

// AccountUse says which clusters pull as a node's service account.
// +kubebuilder:validation:Enum=ThisCluster;SeveralClusters
type AccountUse string

const (
	// UsedByThisCluster: no other cluster does, so what nobody here needs nobody needs.
	UsedByThisCluster AccountUse = "ThisCluster"
	// UsedBySeveralClusters: others may need what was granted for pods of this one.
	UsedBySeveralClusters AccountUse = "SeveralClusters"
)

// LifetimeSpec says when a grant is taken back.
// +kubebuilder:validation:XValidation:rule="!has(self.expireAfter) || !has(self.gracePeriod) || duration(self.gracePeriod) < duration(self.expireAfter)",message="gracePeriod must be less than expireAfter"
// +kubebuilder:validation:XValidation:rule="!has(self.renew) || self.renew == 'Never' || has(self.expireAfter)",message="renew needs expireAfter: what does not expire is not renewed"
type LifetimeSpec struct {
	// expireAfter is how long a grant lasts, counted from when it was written. When
	// it is over the member is taken out; a pod that fails after that asks anew.
	// From 10m to 8760h; unset means that it does not end by time. Artifact Registry
	// takes no conditions in its policies, so the operator itself keeps the time.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10m') && duration(self) <= duration('8760h')",message="expireAfter must be from 10m to 8760h"
	ExpireAfter *metav1.Duration `json:"expireAfter,omitempty"`

	// renew says whether a grant that pods use when its time is over is given the
	// same time again: Never, or WhileUsed. The policy as it is then decides; a
	// paused one, or one in mode DryRun, renews nothing. Unset means Never.
	// +optional
	// +kubebuilder:default=Never
	Renew Renewal `json:"renew,omitempty"`

	// revokeWhenUnusedFor is how long a grant may be without use before it is taken
	// back. It is in use while a pod on a node of its account, in whatever phase, or
	// the template of a workload refers to the repository. From 1h to 8760h; unset
	// means that it is not taken back for want of use.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1h') && duration(self) <= duration('8760h')",message="revokeWhenUnusedFor must be from 1h to 8760h"
	RevokeWhenUnusedFor *metav1.Duration `json:"revokeWhenUnusedFor,omitempty"`

	// accountsUsedBy says whether nodes of other clusters pull as the listed
	// accounts too. An IAM policy does not tell who needs a member, so with
	// SeveralClusters the operator takes no member out: a grant that ends says how to
	// do that by hand. Unset means ThisCluster.
	// +optional
	// +kubebuilder:default=ThisCluster
	AccountsUsedBy AccountUse `json:"accountsUsedBy,omitempty"`

	// whenPolicyGone says what becomes of a grant whose repository and account no
	// policy names any more, because one was deleted or narrowed. One that is set to
	// DryRun goes on naming them: it stops what is new and takes nothing back. Unset
	// means Revoke.
	// +optional
	// +kubebuilder:default=Revoke
	WhenPolicyGone KeepRevoke `json:"whenPolicyGone,omitempty"`

	// gracePeriod is how long before it is taken back a grant says so: time to mend
	// a policy that was changed by mistake. From 0s to 24h; unset means 5m.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="gracePeriod must be from 0s to 24h"
	GracePeriod *metav1.Duration `json:"gracePeriod,omitempty"`
}

// Lifetime is what holds for one grant, as its policy had it when it was written.
// Where several policies have pods that use it, the longest of each holds.
type Lifetime struct {
	// expireTime is when the member is taken out. Unset: it does not end by time.
	// +optional
	ExpireTime *metav1.Time `json:"expireTime,omitempty"`

	// policies are those whose bounds it has.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	Policies []string `json:"policies,omitempty"`

	// revokeWhenUnusedFor is as in the policy. Unset: want of use does not end it.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="revokeWhenUnusedFor must be a duration of 0s or more"
	RevokeWhenUnusedFor *metav1.Duration `json:"revokeWhenUnusedFor,omitempty"`

	// accountsUsedBy is as in the policy. Unset: ThisCluster.
	// +optional
	AccountsUsedBy AccountUse `json:"accountsUsedBy,omitempty"`

	// whenPolicyGone is as in the policy. Unset: Revoke.
	// +optional
	WhenPolicyGone KeepRevoke `json:"whenPolicyGone,omitempty"`

	// gracePeriod is as in the policy. Unset: 5m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="gracePeriod must be a duration of 0s or more"
	GracePeriod *metav1.Duration `json:"gracePeriod,omitempty"`

	// maxRevocationsPerHour is limits.maxRevocationsPerHour of the policy under which the
	// grant was written: the policy may be gone by the end. Unset: 20.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxRevocationsPerHour int32 `json:"maxRevocationsPerHour,omitempty"`
}

// EndReason says why a grant has come to its end.
// +kubebuilder:validation:Enum=Expired;PolicyGone;Unused;Revoked;RemovedExternally;RemovedByOwner;Denied;Lapsed;PolicyChanged
type EndReason string

const (
	// EndExpired: its time is over.
	EndExpired EndReason = "Expired"
	// EndPolicyGone: no policy names its repository and account any more.
	EndPolicyGone EndReason = "PolicyGone"
	// EndUnused: nothing in the cluster has used it for long enough.
	EndUnused EndReason = "Unused"
	// EndRevoked: a person has taken it back.
	EndRevoked EndReason = "Revoked"
	// EndRemovedExternally: the operator had added the member, and somebody else took
	// it out.
	EndRemovedExternally EndReason = "RemovedExternally"
	// EndRemovedByOwner: the member was there before the grant, and its owner removed it.
	EndRemovedByOwner EndReason = "RemovedByOwner"
	// EndDenied: a person has refused it.
	EndDenied EndReason = "Denied"
	// EndLapsed: nobody has answered.
	EndLapsed EndReason = "Lapsed"
	// EndPolicyChanged: its policy was changed or deleted before a person answered,
	// or after it and before the write.
	EndPolicyChanged EndReason = "PolicyChanged"
)

// Ending says why and when the operator will revoke a grant.
type Ending struct {
	// reason says why.
	// +required
	Reason EndReason `json:"reason,omitempty"`

	// dueTime is when.
	// +required
	DueTime metav1.Time `json:"dueTime,omitzero"`

	// limitedUntilTime is when the operator tries again to revoke a grant that
	// maxRevocationsPerHour holds back. Unset: no limit holds it back.
	// +optional
	LimitedUntilTime *metav1.Time `json:"limitedUntilTime,omitempty"`
}

// MaxLifetimePolicies is how many policies bound one grant, as the kind's schema has it.
const MaxLifetimePolicies = 32

// Usage is what a look at all pods and workloads of the cluster has shown of a grant.
type Usage struct {
	// lastUsedTime is when it was last seen to be in use, to the hour. Unset: never.
	// +optional
	LastUsedTime *metav1.Time `json:"lastUsedTime,omitempty"`

	// unusedSinceTime is when a look began that was the first to find no use of it.
	// Unset: the last look found one, or there was none.
	// +optional
	UnusedSinceTime *metav1.Time `json:"unusedSinceTime,omitempty"`

	// unusedCheckedTime is when the latest look began that has found no use of a
	// grant that is about to end for it. Unset: it is not about to.
	// +optional
	UnusedCheckedTime *metav1.Time `json:"unusedCheckedTime,omitempty"`
}
