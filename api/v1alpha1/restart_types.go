// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What an unset field of RestartSpec means, as the schema's defaults have it.
const (
	DefaultRestartDelay = time.Minute
	DefaultMaxAttempts  = 3
)

// RestartStrategy says how a stuck workload is brought back.
// +kubebuilder:validation:Enum=RolloutRestart;DeleteStuckPods;None
type RestartStrategy string

const (
	// RestartRollout does what kubectl rollout restart does, on the owning
	// Deployment, StatefulSet or DaemonSet.
	RestartRollout RestartStrategy = "RolloutRestart"
	// RestartDeletePods deletes only the pods that cannot pull and changes no template.
	RestartDeletePods RestartStrategy = "DeleteStuckPods"
	// RestartNone leaves the pods to the kubelet's own retries.
	RestartNone RestartStrategy = "None"
)

// RestartSpec says how stuck workloads are brought back after a grant.
type RestartSpec struct {
	// strategy says what is done to a workload that is still stuck. RolloutRestart
	// restarts the owning Deployment, StatefulSet or DaemonSet; DeleteStuckPods
	// deletes only the pods that cannot pull; None leaves them to the kubelet's
	// own retries. Unset means RolloutRestart. Paused Deployments, Jobs, bare pods
	// and owners of unknown kinds are always left to the kubelet.
	// +optional
	// +kubebuilder:default=RolloutRestart
	Strategy RestartStrategy `json:"strategy,omitempty"`

	// delay is how long after the grant a workload is restarted, unless a pull is
	// seen to work sooner. IAM typically needs 2 minutes, at times 7, to spread a
	// change. From 0s to 1h; unset means 60s.
	// +optional
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="delay must be from 0s to 1h"
	Delay *metav1.Duration `json:"delay,omitempty"`

	// maxAttempts is how often one workload is restarted for one grant while its
	// pods keep failing: 5 minutes after the first restart, then twice as long each
	// time. From 1 to 6; unset means 3.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=6
	MaxAttempts int32 `json:"maxAttempts,omitempty"`
}
