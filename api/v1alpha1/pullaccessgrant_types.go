// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// PullAccessGrant is the record of one member on one repository: why it was
// granted, when, what came of it. The operator makes it; its name is derived
// from repository and member, so that all pods that need the same access meet in it.
//
// Deleting it takes the access back, if it was the operator that gave it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=pag,categories=pullaccess
// +kubebuilder:printcolumn:name="Repository",type=string,JSONPath=`.spec.repository.name`
// +kubebuilder:printcolumn:name="Granted",type=string,JSONPath=`.status.conditions[?(@.type=="Granted")].status`
// +kubebuilder:printcolumn:name="Effective",type=string,JSONPath=`.status.conditions[?(@.type=="Effective")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Ends",type=string,priority=1,JSONPath=`.status.ending.dueTime`
// +kubebuilder:printcolumn:name="Expires",type=string,priority=1,JSONPath=`.status.lifetime.expireTime`
// +kubebuilder:printcolumn:name="Project",type=string,priority=1,JSONPath=`.spec.repository.project`
// +kubebuilder:printcolumn:name="Location",type=string,priority=1,JSONPath=`.spec.repository.location`
// +kubebuilder:printcolumn:name="Member",type=string,priority=1,JSONPath=`.spec.member`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type PullAccessGrant struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is who is granted what. It MUST NOT change.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec is immutable: delete the grant to take it back"
	Spec PullAccessGrantSpec `json:"spec,omitzero"`

	// status is how far the grant has come.
	// +optional
	Status PullAccessGrantStatus `json:"status,omitzero"`
}

// PullAccessGrantSpec is who is granted what, and why.
type PullAccessGrantSpec struct {
	// repository is the one repository that is opened.
	// +required
	Repository Repository `json:"repository,omitzero"`

	// member is who is granted roles/artifactregistry.reader, as IAM writes it:
	// serviceAccount:EMAIL.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.matches('^serviceAccount:[a-z0-9][a-z0-9-]*@[a-z0-9][a-z0-9.-]*[.]gserviceaccount[.]com$')",message="member must be serviceAccount:EMAIL"
	Member string `json:"member,omitempty"`

	// policy is the name of the PullAccessPolicy that allowed the grant.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Policy string `json:"policy,omitempty"`

	// workload is the one whose failure led to the grant.
	// +required
	Workload Workload `json:"workload,omitzero"`

	// evidence is the part of the kubelet's text that the cause rests on. It comes
	// from outside and is for people only.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Evidence string `json:"evidence,omitempty"`

	// unknowns are the facts that could not be read when the grant was decided, each
	// with the reason: the first suspects if the grant stays without effect. Unset:
	// all were read.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=512
	Unknowns []string `json:"unknowns,omitempty"`
}

// Bounds of PullAccessGrantSpec, as the schema has them.
const (
	// MaxEvidence is the length of one piece of evidence, in bytes.
	MaxEvidence = 512
	// MaxUnknowns is how many unknown facts are listed.
	MaxUnknowns = 16
)

// Repository is one Artifact Registry repository.
type Repository struct {
	// project is the ID of the project that holds the repository.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Project string `json:"project,omitempty"`

	// location is its region or multi-region.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Location string `json:"location,omitempty"`

	// name is its ID.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
}

// GrantOrigin says who put the member into the repository's policy.
// +kubebuilder:validation:Enum=Added;Found
type GrantOrigin string

const (
	// OriginAdded: the operator added the member, and takes it out at the end, unless
	// several clusters use the account.
	OriginAdded GrantOrigin = "Added"
	// OriginFound: the member was there already, and stays.
	OriginFound GrantOrigin = "Found"
)

// PullAccessGrantStatus is how far the grant has come.
type PullAccessGrantStatus struct {
	// observedGeneration is the generation of the grant that this status describes.
	// Unset: the operator has not read the grant yet.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// uid is the UID of the object that this status describes. The operator discards the
	// status of another object, which a backup has restored. Unset: nothing is recorded yet.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`

	// conditions are Approved (somebody who may has allowed it), Granted (the member
	// is in the repository's policy), Effective (a pull was seen to work after) and
	// Ready, which names the worst of them and says what happens next.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// policy is the name of the PullAccessPolicy under which it is asked for now.
	// Unset: that of spec.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Policy string `json:"policy,omitempty"`

	// requestedTime is when a pod asked anew for what had ended. Unset: none has;
	// the object's creation counts.
	// +optional
	RequestedTime *metav1.Time `json:"requestedTime,omitempty"`

	// proposal is set while it waits for a person, and after, until it is asked for
	// anew. Unset: no person is asked.
	// +optional
	Proposal *Proposal `json:"proposal,omitempty"`

	// review is a person's word on it; kubectl pullaccess approve, deny and revoke
	// write it. Unset: nobody has said anything.
	// +optional
	Review *Review `json:"review,omitempty"`

	// origin says who put the member into the policy. The operator MUST NOT remove
	// a member unless origin is Added. Unset: nothing was written yet.
	// +optional
	Origin GrantOrigin `json:"origin,omitempty"`

	// write is the last change of the repository's IAM policy: meant, then done.
	// Unset: none was begun, or the member was found there.
	// +optional
	Write *IAMPolicyWrite `json:"write,omitempty"`

	// grantedTime is when the member was first seen in the policy. Unset: it was not yet.
	// +optional
	GrantedTime *metav1.Time `json:"grantedTime,omitempty"`

	// effectiveTime is when a pull was first seen to work after the grant. Unset:
	// none was yet.
	// +optional
	EffectiveTime *metav1.Time `json:"effectiveTime,omitempty"`

	// lifetime says when the grant is taken back. Unset: nothing was written yet.
	// +optional
	Lifetime Lifetime `json:"lifetime,omitzero"`

	// ending announces that the grant is about to be taken back. Unset: it stays.
	// +optional
	Ending *Ending `json:"ending,omitempty"`

	// endedTime is when the grant came to its end, for the reason that the condition
	// Granted shows: the member was taken out, or is not to be added. Unset: it has
	// not ended, or was asked for anew.
	// +optional
	EndedTime *metav1.Time `json:"endedTime,omitempty"`

	// usage is what is known of its use.
	// +optional
	Usage Usage `json:"usage,omitzero"`

	// refusedRevocations counts how often Google has refused to remove the member.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RefusedRevocations int32 `json:"refusedRevocations,omitempty"`

	// workloads are those that waited for this grant, in the order in which they
	// came; when there are more than fit, the first that is done makes room.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	Workloads []WorkloadStatus `json:"workloads,omitempty"`

	// recoveredWorkloads counts the workloads that have recovered, also those that
	// the list has dropped.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RecoveredWorkloads int32 `json:"recoveredWorkloads,omitempty"`

	// history is what has happened, the oldest first. When it is full, the oldest
	// restart makes room, else the oldest entry.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	History []HistoryEntry `json:"history,omitempty"`
}

// PullAccessGrantList is a list of grants.
// +kubebuilder:object:root=true
type PullAccessGrantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []PullAccessGrant `json:"items"`
}
