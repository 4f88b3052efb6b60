// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PolicyWrite is one change of a repository's IAM policy. It is recorded before
// the change is sent, and completed after: when only the first half is there,
// the operator died in between and looks for itself what became of it.
type PolicyWrite struct {
	// intendedTime is when the change was about to be sent.
	// +required
	IntendedTime metav1.Time `json:"intendedTime,omitzero"`

	// etagBefore is the policy's etag as read before the change.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	EtagBefore string `json:"etagBefore,omitempty"`

	// etagAfter is the policy's etag as the change left it. Unset: what became of
	// the change is not known yet.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	EtagAfter string `json:"etagAfter,omitempty"`
}
