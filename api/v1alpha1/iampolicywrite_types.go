// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IAMPolicyWrite is one change of a repository's IAM policy. The operator records the
// intent before it sends the change, and the outcome after. If the operator stops in
// between, only the intent is here, and the next one reads the outcome from Google.
type IAMPolicyWrite struct {
	// intentTime is when the operator recorded that it was about to send the change.
	// +required
	IntentTime metav1.Time `json:"intentTime,omitzero"`

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
