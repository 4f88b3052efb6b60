// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What an unset field of BrakesSpec means, as the schema's defaults have it.
const (
	DefaultMaxGrantsPerHour   = 20
	DefaultMaxRestartsPerHour = 60
	DefaultCooldown           = 5 * time.Minute
	DefaultStormRepositories  = 10
	DefaultStormWindow        = 10 * time.Minute
)

// BrakesSpec bounds how much is done under one policy.
type BrakesSpec struct {
	// maxGrantsPerHour is how many members are added to policies of repositories in
	// any hour, at the most. From 1 to 1000; unset means 20.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxGrantsPerHour int32 `json:"maxGrantsPerHour,omitempty"`

	// maxRestartsPerHour is how many restarts of workloads are begun in any hour, at
	// the most. From 1 to 10000; unset means 60.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxRestartsPerHour int32 `json:"maxRestartsPerHour,omitempty"`

	// cooldown is how long one workload is left alone after a restart, whoever did
	// it and for whichever grant. From 0s to 24h; unset means 5m.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="cooldown must be from 0s to 24h"
	Cooldown *metav1.Duration `json:"cooldown,omitempty"`

	// storm stops all grants when many repositories are asked for at once: one cause
	// then lies behind all, and it is not a missing grant.
	// +optional
	// +kubebuilder:default={}
	Storm StormSpec `json:"storm,omitzero"`
}

// StormSpec says when requests are a storm.
type StormSpec struct {
	// maxRepositories is how many repositories may be asked for within window; while
	// it is more, nothing is granted. From 1 to 1000; unset means 10.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxRepositories int32 `json:"maxRepositories,omitempty"`

	// window is the time that is looked at. From 1m to 24h; unset means 10m.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="window must be from 1m to 24h"
	Window *metav1.Duration `json:"window,omitempty"`
}

// BrakesStatus is what was done under a policy in the last hour, and which brakes
// hold something back. It is kept here and not in memory, so that it outlives the
// operator's process.
type BrakesStatus struct {
	// grants counts the members that were about to be added.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Grants []BrakeCount `json:"grants,omitempty"`

	// restarts counts the restarts that were about to be begun.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Restarts []BrakeCount `json:"restarts,omitempty"`

	// tripped are the brakes that hold something back.
	// +optional
	// +listType=map
	// +listMapKey=brake
	// +kubebuilder:validation:MaxItems=4
	Tripped []TrippedBrake `json:"tripped,omitempty"`
}

// BrakeCount counts acts within five minutes.
type BrakeCount struct {
	// startTime is when the five minutes began.
	// +required
	StartTime metav1.Time `json:"startTime,omitzero"`

	// count is how many acts there were.
	// +required
	// +kubebuilder:validation:Minimum=1
	Count int32 `json:"count,omitempty"`
}

// Brake is the name of a brake; it is also the reason of the condition WithinLimits.
// +kubebuilder:validation:Enum=GrantsPerHour;RestartsPerHour;Storm
type Brake string

const (
	// BrakeGrants: as many members were added as maxGrantsPerHour allows.
	BrakeGrants Brake = "GrantsPerHour"
	// BrakeRestarts: as many restarts were begun as maxRestartsPerHour allows.
	BrakeRestarts Brake = "RestartsPerHour"
	// BrakeStorm: more repositories are asked for than storm allows.
	BrakeStorm Brake = "Storm"
)

// TrippedBrake is a brake that holds something back.
type TrippedBrake struct {
	// brake is which.
	// +required
	Brake Brake `json:"brake,omitempty"`

	// untilTime is when it opens.
	// +required
	UntilTime metav1.Time `json:"untilTime,omitzero"`
}
