// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MaxHistory is how many entries a grant's history holds, as the kind's schema has it.
const MaxHistory = 64

// HistoryEvent is what has happened to a grant.
// +kubebuilder:validation:Enum=Requested;Proposed;Approved;Denied;Lapsed;PolicyChanged;Granted;Found;PullWorked;Restarted;Ineffective;Renewed;RevocationScheduled;RevocationCancelled;Expired;PolicyGone;Unused;Revoked;RemovedExternally;RemovedByOwner;NotNeeded
type HistoryEvent string

// What a history tells, besides the reasons for which a grant ends.
const (
	// HistoryRequested: a pod asked anew for what had ended.
	HistoryRequested HistoryEvent = "Requested"
	// HistoryProposed: it began to wait for a person.
	HistoryProposed HistoryEvent = "Proposed"
	// HistoryApproved: a person has approved it.
	HistoryApproved HistoryEvent = "Approved"
	// HistoryGranted: the operator added the member.
	HistoryGranted HistoryEvent = "Granted"
	// HistoryFound: the member was there already.
	HistoryFound HistoryEvent = "Found"
	// HistoryPullWorked: a pull was first seen to work.
	HistoryPullWorked HistoryEvent = "PullWorked"
	// HistoryRestarted: the restart of a workload was begun.
	HistoryRestarted HistoryEvent = "Restarted"
	// HistoryIneffective: pods still cannot pull after all restarts.
	HistoryIneffective HistoryEvent = "Ineffective"
	// HistoryRenewed: it was in use when its time was over, and was given more.
	HistoryRenewed HistoryEvent = "Renewed"
	// HistoryRevocationScheduled: the grant will be revoked at the time in status.ending.
	HistoryRevocationScheduled HistoryEvent = "RevocationScheduled"
	// HistoryRevocationCancelled: the reason for the scheduled revocation is gone.
	HistoryRevocationCancelled HistoryEvent = "RevocationCancelled"
)

// HistoryEntry is one thing that has happened to a grant.
type HistoryEntry struct {
	// time is when.
	// +required
	Time metav1.Time `json:"time,omitzero"`

	// event is what.
	// +required
	Event HistoryEvent `json:"event,omitempty"`

	// user is the person who did it, as the API server knows them. Unset: the operator.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	User string `json:"user,omitempty"`

	// message says more, in one sentence. Unset: the event says it all.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}
