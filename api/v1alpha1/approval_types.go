// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// DefaultApprovalTimeout is what an unset approval.timeout means.
const DefaultApprovalTimeout = 24 * time.Hour

// ApprovalSpec says how a request waits for a person.
type ApprovalSpec struct {
	// timeout is how long a request waits for an answer; it lapses then, and a pod
	// that is made after that asks anew. From 1m to 720h; unset means 24h.
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="timeout must be from 1m to 720h"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// PauseSpec says that a policy is paused.
type PauseSpec struct {
	// reason says why, for whoever finds it paused.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`
}

// Proposal is a grant that waits for a person, and what it was made under. It is
// void when the policy is another by then: whoever approves, approves what was there.
type Proposal struct {
	// policyUID tells the policy from a later one of the same name.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	PolicyUID types.UID `json:"policyUID,omitempty"`

	// policyGeneration is the policy's metadata.generation at that time.
	// +required
	// +kubebuilder:validation:Minimum=1
	PolicyGeneration int64 `json:"policyGeneration,omitempty"`

	// lapseTime is when it lapses without an answer.
	// +required
	LapseTime metav1.Time `json:"lapseTime,omitzero"`
}

// ReviewDecision is what a person has decided on a grant.
// +kubebuilder:validation:Enum=Approved;Denied;Revoked
type ReviewDecision string

const (
	// ReviewApproved: what waits may be written.
	ReviewApproved ReviewDecision = "Approved"
	// ReviewDenied: it is not written, and is not asked for again.
	ReviewDenied ReviewDecision = "Denied"
	// ReviewRevoked: what was written is taken back, what was not is not written, and
	// it is not asked for again.
	ReviewRevoked ReviewDecision = "Revoked"
)

// Review is a person's word on a grant.
type Review struct {
	// decision is what was decided. Approved and Denied take the verb approve on
	// pullaccessgrants, Revoked the verb revoke.
	// +required
	Decision ReviewDecision `json:"decision,omitempty"`

	// user is who decided. The admission policy pullaccess.dev-grant-status takes
	// nothing but the name under which the API server knows whoever writes it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	User string `json:"user,omitempty"`

	// reason is why, in the person's own words. Unset: none was given.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`
}
