// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Workload is what owns the pods that cannot pull.
type Workload struct {
	// kind is Deployment, StatefulSet, DaemonSet, Job, Pod, or that of another owner.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`

	// namespace is its namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name is its name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// uid tells it from a later one of the same name. Unset: any of that name.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`
}

// WorkloadState says where a workload stands.
// +kubebuilder:validation:Enum=Waiting;Restarting;Recovered;LeftToKubelet;Stuck;Gone
type WorkloadState string

const (
	// WorkloadWaiting: its pods cannot pull yet and it has not been restarted.
	WorkloadWaiting WorkloadState = "Waiting"
	// WorkloadRestarting: a restart was recorded, and follows or has been done.
	WorkloadRestarting WorkloadState = "Restarting"
	// WorkloadRecovered: none of its pods is stuck, and a container has started since.
	WorkloadRecovered WorkloadState = "Recovered"
	// WorkloadLeftToKubelet: it is not restarted; message says why, and the
	// kubelet's own retries go on.
	WorkloadLeftToKubelet WorkloadState = "LeftToKubelet"
	// WorkloadStuck: all restarts were of no use.
	WorkloadStuck WorkloadState = "Stuck"
	// WorkloadGone: it no longer exists, or is scaled to zero.
	WorkloadGone WorkloadState = "Gone"
)

// WorkloadStatus is where one workload stands.
type WorkloadStatus struct {
	Workload `json:",inline"`

	// policy is the name of the PullAccessPolicy that covers its pods.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Policy string `json:"policy,omitempty"`

	// state says where it stands.
	// +required
	State WorkloadState `json:"state,omitempty"`

	// message says why, in one sentence. Unset: the state says it all.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// failingSince is when the operator first saw it fail.
	// +optional
	FailingSince *metav1.Time `json:"failingSince,omitempty"`

	// attempts counts the restarts.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Attempts int32 `json:"attempts,omitempty"`

	// restartTime is the moment of the last restart as recorded before it; it is
	// also the value of the annotation that the restart sets.
	// +optional
	RestartTime *metav1.Time `json:"restartTime,omitempty"`

	// recoveredTime is when it was seen to have recovered.
	// +optional
	RecoveredTime *metav1.Time `json:"recoveredTime,omitempty"`
}
