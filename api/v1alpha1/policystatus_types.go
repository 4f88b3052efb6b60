// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PolicyCoverage says what a policy covers. A number is unset until the operator has
// counted it.
type PolicyCoverage struct {
	// selectedNamespaces is the number of namespaces that namespaceSelector selects.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SelectedNamespaces *int32 `json:"selectedNamespaces,omitempty"`

	// listedRepositories is the number of repositories that the policy names without a
	// wildcard.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ListedRepositories *int32 `json:"listedRepositories,omitempty"`

	// readableRepositories is the number of listedRepositories that the operator can read.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ReadableRepositories *int32 `json:"readableRepositories,omitempty"`

	// seenAccounts is the number of service accounts that nodeServiceAccounts lists and
	// that the operator has seen since it started: on nodes whose pods cannot pull, or in
	// grants.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SeenAccounts *int32 `json:"seenAccounts,omitempty"`
}

// MaxUnreadableRepositories is the number of repositories that
// status.unreadableRepositories lists, at most.
const MaxUnreadableRepositories = 32

// UnreadableRepository is a repository that the operator cannot read.
type UnreadableRepository struct {
	// repository is the repository.
	// +required
	Repository Repository `json:"repository,omitzero"`

	// reason is a reason of the condition CloudAccess.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message explains the reason and names the next step.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// MaxWouldGrant is the number of grants that status.wouldGrant lists, at most.
const MaxWouldGrant = 32

// WouldGrant is a grant that pods need and that the operator does not make in mode DryRun.
type WouldGrant struct {
	// repository is the repository that the pods cannot pull from.
	// +required
	Repository Repository `json:"repository,omitzero"`

	// member is the account that needs access, as IAM writes it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=300
	Member string `json:"member,omitempty"`

	// firstTime is when the operator first found a pod that needs the grant.
	// +required
	FirstTime metav1.Time `json:"firstTime,omitzero"`

	// workload owns the pod that has needed the grant for longest. Unset: unknown.
	// +optional
	Workload *Workload `json:"workload,omitempty"`

	// image is an image that one of the pods cannot pull.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// pods is the number of pods that need the grant now. Unset: unknown.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Pods int32 `json:"pods,omitempty"`
}
