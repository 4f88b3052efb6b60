// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The schema's defaults for unset fields of LimitsSpec.
const (
	DefaultMaxGrantsPerHour           = 20
	DefaultMaxRestartsPerHour         = 60
	DefaultRestartCooldown            = 5 * time.Minute
	DefaultCircuitBreakerRepositories = 10
	DefaultCircuitBreakerWindow       = 10 * time.Minute
)

// LimitsSpec limits how much the operator does under one policy.
type LimitsSpec struct {
	// maxGrantsPerHour is the maximum number of members that the operator adds to IAM
	// policies of repositories in any 60 minutes. Further grants wait. The operator counts
	// in intervals of 5 minutes, so a grant can count for up to 65 minutes.
	// From 1 to 1000; unset means 20.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxGrantsPerHour int32 `json:"maxGrantsPerHour,omitempty"`

	// maxRestartsPerHour is the maximum number of restarts of workloads that the operator
	// starts in any 60 minutes. Further restarts wait. The operator counts in intervals of
	// 5 minutes, so a restart can count for up to 65 minutes.
	// From 1 to 10000; unset means 60.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxRestartsPerHour int32 `json:"maxRestartsPerHour,omitempty"`

	// restartCooldown is the minimum time between a restart of a workload, by any user or
	// for any grant, and the next restart by the operator. It is a duration such as 90s or
	// 5m, from 0s (no wait) to 24h; unset means 5m.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="restartCooldown must be from 0s to 24h"
	RestartCooldown *metav1.Duration `json:"restartCooldown,omitempty"`

	// circuitBreaker stops all new grants under the policy while pods request many
	// repositories at once: that many at once indicates a common cause other than missing
	// access. Unset means more than 10 repositories within 10m.
	// +optional
	// +kubebuilder:default={}
	CircuitBreaker CircuitBreakerSpec `json:"circuitBreaker,omitzero"`

	// cooldown is the former name of restartCooldown. The API server refuses it.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="false",message="cooldown was renamed: set restartCooldown instead"
	Cooldown string `json:"cooldown,omitempty"`

	// storm is the former name of circuitBreaker. The API server refuses it.
	// +optional
	// +kubebuilder:validation:XValidation:rule="false",message="storm was renamed: set circuitBreaker instead"
	Storm *RenamedField `json:"storm,omitempty"`
}

// RenamedField is the value of a field that has another name now. It takes any
// object, so that a rule of the schema can refuse it and name the new field. Without
// it, the API server would drop the field, and the policy would have the default.
// +kubebuilder:pruning:PreserveUnknownFields
type RenamedField struct{}

// CircuitBreakerSpec sets when the operator stops all new grants under a policy.
type CircuitBreakerSpec struct {
	// maxRepositories is the maximum number of repositories that pods may request within
	// window. If they request more, the operator grants nothing under the policy until the
	// number is within the limit again. From 1 to 1000; unset means 10.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxRepositories int32 `json:"maxRepositories,omitempty"`

	// window is how long a request for a repository counts. It is a duration such as 90s
	// or 10m, from 1m to 24h; unset means 10m.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="window must be from 1m to 24h"
	Window *metav1.Duration `json:"window,omitempty"`
}

// LimitsStatus counts the grants and restarts under a policy within the last 65 minutes,
// and lists the limits that are reached. It is stored in status, so that it survives a
// restart of the operator.
type LimitsStatus struct {
	// grants counts members by interval. The operator counts a member before it adds it.
	// Unset means none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Grants []IntervalCount `json:"grants,omitempty"`

	// restarts counts restarts by interval. The operator counts a restart before it starts
	// it. Unset means none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Restarts []IntervalCount `json:"restarts,omitempty"`

	// reached lists the limits that delay a grant or a restart now. Unset means none.
	// +optional
	// +listType=map
	// +listMapKey=limit
	// +kubebuilder:validation:MaxItems=4
	Reached []ReachedLimit `json:"reached,omitempty"`
}

// IntervalCount counts grants or restarts within an interval of 5 minutes.
type IntervalCount struct {
	// startTime is when the interval began.
	// +required
	StartTime metav1.Time `json:"startTime,omitzero"`

	// count is the number of grants or restarts within the interval.
	// +required
	// +kubebuilder:validation:Minimum=1
	Count int32 `json:"count,omitempty"`
}

// Limit is the name of a limit; it is also the reason of the condition WithinLimits.
// +kubebuilder:validation:Enum=GrantsPerHour;RestartsPerHour;CircuitBreaker
type Limit string

const (
	// LimitGrants means that the operator added as many members as maxGrantsPerHour allows.
	LimitGrants Limit = "GrantsPerHour"
	// LimitRestarts means that the operator started as many restarts as maxRestartsPerHour allows.
	LimitRestarts Limit = "RestartsPerHour"
	// LimitCircuitBreaker means that pods request more repositories than circuitBreaker allows.
	LimitCircuitBreaker Limit = "CircuitBreaker"
)

// ReachedLimit is a limit that delays a grant or a restart.
type ReachedLimit struct {
	// limit is the name of the limit.
	// +required
	Limit Limit `json:"limit,omitempty"`

	// resetTime is when the limit allows the next grant or restart.
	// +required
	ResetTime metav1.Time `json:"resetTime,omitzero"`
}
