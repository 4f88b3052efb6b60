// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PullAccessPolicy says which Artifact Registry repositories may be opened to
// which node service accounts, for which pods.
//
// It belongs to the platform team and is cluster-scoped, so that no tenant can
// allow itself. Where no policy covers a pod the operator writes nothing.
// Several policies may cover one pod: any one that allows all of it suffices,
// and none widens another.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=pap,categories=pullaccess
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Limits",type=string,JSONPath=`.status.conditions[?(@.type=="WithinLimits")].reason`
// +kubebuilder:printcolumn:name="Namespaces",type=integer,JSONPath=`.status.coverage.selectedNamespaces`
// +kubebuilder:printcolumn:name="WouldGrant",type=integer,JSONPath=`.status.wouldGrantCount`
// +kubebuilder:printcolumn:name="Readable",type=integer,priority=1,JSONPath=`.status.coverage.readableRepositories`
// +kubebuilder:printcolumn:name="Until",type=string,priority=1,JSONPath=`.status.limits.reached[0].resetTime`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type PullAccessPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what this policy allows.
	// +required
	Spec PullAccessPolicySpec `json:"spec,omitzero"`

	// status is what the operator found when it read this policy.
	// +optional
	Status PullAccessPolicyStatus `json:"status,omitzero"`
}

// PolicyMode says how far the operator goes.
// +kubebuilder:validation:Enum=DryRun;Approve;Enforce
type PolicyMode string

const (
	// ModeDryRun does everything but the writes, and says what it would have done.
	ModeDryRun PolicyMode = "DryRun"
	// ModeApprove makes a PullAccessGrant that waits for a person's approval, and
	// then grants and restarts.
	ModeApprove PolicyMode = "Approve"
	// ModeEnforce grants and restarts.
	ModeEnforce PolicyMode = "Enforce"
)

// AllowDeny is a switch whose zero value, and every value but Allow, denies.
// +kubebuilder:validation:Enum=Allow;Deny
type AllowDeny string

const (
	// Allow lets the guarded thing pass.
	Allow AllowDeny = "Allow"
	// Deny refuses it.
	Deny AllowDeny = "Deny"
)

// PullAccessPolicySpec says who may be granted what. A grant needs all of it to
// agree: the pod is selected, the repository and the account are listed.
type PullAccessPolicySpec struct {
	// mode says how far the operator goes for what this policy allows: DryRun only
	// tells, Approve asks a person first, Enforce grants and restarts. Unset means
	// DryRun.
	// +optional
	// +kubebuilder:default=DryRun
	Mode PolicyMode `json:"mode,omitempty"`

	// pause stops what is new: while it is set, nothing is granted and nothing is
	// restarted under this policy. What was granted stays, and ends as it would.
	// Unset: it is not paused.
	// +optional
	Pause *PauseSpec `json:"pause,omitempty"`

	// approval says how a request waits for a person in mode Approve.
	// +optional
	// +kubebuilder:default={}
	Approval ApprovalSpec `json:"approval,omitzero"`

	// namespaceSelector selects the namespaces whose pods this policy covers, by
	// their labels. An empty selector ({}) covers every namespace. Example:
	//
	//	namespaceSelector:
	//	  matchLabels: {env: prod}
	//
	// +required
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// podSelector narrows the policy to some pods of those namespaces, by their
	// labels. Unset or empty ({}) covers all of them. Example:
	//
	//	podSelector:
	//	  matchLabels: {tier: web}
	//
	// +optional
	// +kubebuilder:default={}
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`

	// repositories lists the Artifact Registry repositories this policy may open.
	// Entries are ORed. An image outside this list MUST NOT lead to a grant.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(x, self.exists_one(y, x == y))",message="entries in repositories must be unique"
	Repositories []RepositoryPattern `json:"repositories,omitempty"`

	// nodeServiceAccounts lists the Google service accounts of nodes that may be
	// granted. Entries are ORed; each is an email, or *@PROJECT.iam.gserviceaccount.com
	// for all accounts of one project. An account outside this list MUST NOT be
	// granted, nor any user, any group or allUsers.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([a-z0-9][a-z0-9-]*@[a-z0-9][a-z0-9.-]*[.]gserviceaccount[.]com|[*]@[a-z0-9][a-z0-9.-]*[.]iam[.]gserviceaccount[.]com)$')",message="entries in nodeServiceAccounts must be the email of a service account, or *@PROJECT.iam.gserviceaccount.com"
	NodeServiceAccounts []string `json:"nodeServiceAccounts,omitempty"`

	// computeDefaultServiceAccount says whether a Compute Engine default service
	// account (NUMBER-compute@developer.gserviceaccount.com) may be granted where
	// nodeServiceAccounts lists it. Every VM of a project that was given no account
	// of its own shares it. Unset means Deny: it is refused even where it is listed.
	// +optional
	// +kubebuilder:default=Deny
	ComputeDefaultServiceAccount AllowDeny `json:"computeDefaultServiceAccount,omitempty"`

	// virtualRepositories says whether a virtual repository may be opened. A grant
	// there opens all its upstream repositories with it. Unset means Deny.
	// +optional
	// +kubebuilder:default=Deny
	VirtualRepositories AllowDeny `json:"virtualRepositories,omitempty"`

	// restart says how stuck workloads are brought back after a grant. Unset means
	// a rollout restart 60 seconds after the grant, 3 times at the most.
	// +optional
	// +kubebuilder:default={}
	Restart RestartSpec `json:"restart,omitzero"`

	// grant says when what this policy allowed is taken back. What holds for a grant
	// is noted on it when it is written: the policy may be gone by the end. Unset
	// means: when no policy names it any more, and not by time or for want of use.
	// +optional
	// +kubebuilder:default={}
	Grant LifetimeSpec `json:"grant,omitzero"`

	// limits bound how much the operator does under this policy in a given time. A
	// grant or restart that exceeds a limit waits until the limit resets.
	// +optional
	// +kubebuilder:default={}
	Limits LimitsSpec `json:"limits,omitzero"`

	// brakes is the former name of limits. The API server refuses it.
	// +optional
	// +kubebuilder:validation:XValidation:rule="false",message="brakes was renamed: set limits instead"
	Brakes *RenamedField `json:"brakes,omitempty"`
}

// RepositoryPattern names one repository, or by a trailing * several of one project.
type RepositoryPattern struct {
	// project is the ID of the project that holds the repository, written
	// example.com:web when it is domain-scoped. It takes no wildcard.
	// +required
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]*[a-z0-9]$')",message="project must be a project ID, without a wildcard"
	Project string `json:"project,omitempty"`

	// location is a region such as us-central1, one of the multi-regions us, europe
	// and asia, or * for all of them.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^([*]|[a-z][a-z0-9-]*)$')",message="location must be a region, a multi-region or *"
	Location string `json:"location,omitempty"`

	// name is the repository's ID, or its beginning followed by *. An image on
	// gcr.io is served by the repository that is called gcr.io.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]([a-z0-9.-]*[a-z0-9]|[a-z0-9.-]*[*])?$|^[*]$')",message="name must be a repository ID, its beginning followed by *, or *"
	Name string `json:"name,omitempty"`
}

// PullAccessPolicyStatus is what the operator found when it read the policy.
type PullAccessPolicyStatus struct {
	// observedGeneration is the generation of the policy that this status describes.
	// Unset: the operator has not read the policy yet.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready (the policy is in force, or what hinders it),
	// CloudAccess (the operator can read the repositories named without a wildcard)
	// and WithinLimits (no limit is reached).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// coverage says what the policy covers now.
	// +optional
	Coverage PolicyCoverage `json:"coverage,omitzero"`

	// unreadableRepositories lists each repository that the policy names without a
	// wildcard and that the operator cannot read.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	UnreadableRepositories []UnreadableRepository `json:"unreadableRepositories,omitempty"`

	// limits counts the grants and restarts under this policy in the last hour.
	// +optional
	Limits LimitsStatus `json:"limits,omitzero"`

	// wouldGrantCount is the number of grants that failing pods need now and that the
	// operator would make in mode Enforce. wouldGrant lists the first 32 of them. Unset:
	// the mode is not DryRun.
	// +optional
	// +kubebuilder:validation:Minimum=0
	WouldGrantCount *int32 `json:"wouldGrantCount,omitempty"`

	// wouldGrant lists the grants that failing pods need now and that the operator would
	// make in mode Enforce, each once. It is empty if the mode is not DryRun.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	WouldGrant []WouldGrant `json:"wouldGrant,omitempty"`
}

// PullAccessPolicyList is a list of policies.
// +kubebuilder:object:root=true
type PullAccessPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []PullAccessPolicy `json:"items"`
}
