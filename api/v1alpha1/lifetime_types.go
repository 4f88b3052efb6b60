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

// LifetimeSpec says when a grant is taken back.
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
type Lifetime struct {
	// expireTime is when the member is taken out. Unset: it does not end by time.
	// +optional
	ExpireTime *metav1.Time `json:"expireTime,omitempty"`

	// whenPolicyGone is as in the policy. Unset: Revoke.
	// +optional
	WhenPolicyGone KeepRevoke `json:"whenPolicyGone,omitempty"`

	// gracePeriod is as in the policy. Unset: 5m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	GracePeriod *metav1.Duration `json:"gracePeriod,omitempty"`
}

// EndReason says why a grant is taken back.
// +kubebuilder:validation:Enum=Expired;PolicyGone
type EndReason string

const (
	// EndExpired: its time is over.
	EndExpired EndReason = "Expired"
	// EndPolicyGone: no policy names its repository and account any more.
	EndPolicyGone EndReason = "PolicyGone"
)

// Ending announces that a grant is going to be taken back.
type Ending struct {
	// reason says why.
	// +required
	Reason EndReason `json:"reason,omitempty"`

	// dueTime is when.
	// +required
	DueTime metav1.Time `json:"dueTime,omitzero"`
}
