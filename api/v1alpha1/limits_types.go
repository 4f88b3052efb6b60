// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What an unset field of LimitsSpec means, as the schema's defaults have it.
const (
	DefaultMaxGrantsPerHour           = 20
	DefaultMaxRestartsPerHour         = 60
	DefaultMaxRevocationsPerHour      = 20
	DefaultRestartCooldown            = 5 * time.Minute
	DefaultCircuitBreakerRepositories = 10
	DefaultCircuitBreakerWindow       = 10 * time.Minute
)

// LimitsSpec bounds how much is done under one policy.
type LimitsSpec struct {
	// maxGrantsPerHour is the number of members that the operator adds to IAM policies
	// in any hour, at most. One namespace may use at most half, rounded up, of what the
	// other namespaces leave. A grant counts for the namespace that requested it first.
	// From 1 to 1000; unset means 20.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxGrantsPerHour int32 `json:"maxGrantsPerHour,omitempty"`

	// maxRestartsPerHour is the number of restarts that the operator begins in any hour,
	// at most. One namespace may use at most half, rounded up, of what the other
	// namespaces leave. From 1 to 10000; unset means 60.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxRestartsPerHour int32 `json:"maxRestartsPerHour,omitempty"`

	// maxRevocationsPerHour is the number of grants that the operator revokes in any
	// hour, at most, because this policy was deleted or does not list their repository
	// and account any more. The operator copies it into a grant when it writes the grant.
	// Grants that expire, that nothing uses, that a person revokes or that are deleted
	// do not count. From 1 to 1000; unset means 20.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxRevocationsPerHour int32 `json:"maxRevocationsPerHour,omitempty"`

	// restartCooldown is how long a workload is not restarted again after a restart,
	// by any user and for any grant. From 0s to 24h; unset means 5m.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="restartCooldown must be from 0s to 24h"
	RestartCooldown *metav1.Duration `json:"restartCooldown,omitempty"`

	// circuitBreaker stops all grants when pods request many repositories at once:
	// that many at once indicates a common cause other than missing access.
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

// CircuitBreakerSpec says when all grants stop.
type CircuitBreakerSpec struct {
	// maxRepositories is how many repositories pods may request within window; above
	// this, the operator grants nothing. From 1 to 1000; unset means 10.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxRepositories int32 `json:"maxRepositories,omitempty"`

	// window is the time in which requests are counted. From 1m to 24h; unset means 10m.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="window must be from 1m to 24h"
	Window *metav1.Duration `json:"window,omitempty"`
}

// LimitsStatus counts what the operator did under a policy in the last hour, and lists
// the limits that are reached. It is stored here, so that it survives a restart of the
// operator.
type LimitsStatus struct {
	// grants counts the members that were about to be added.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Grants []IntervalCount `json:"grants,omitempty"`

	// restarts counts the restarts that were about to be begun.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Restarts []IntervalCount `json:"restarts,omitempty"`

	// revocations counts the revocations that were about to be begun because the policy
	// was narrowed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Revocations []IntervalCount `json:"revocations,omitempty"`

	// reached lists the limits that are reached and hold up a grant, a restart or a
	// revocation.
	// +optional
	// +listType=map
	// +listMapKey=limit
	// +kubebuilder:validation:MaxItems=4
	Reached []ReachedLimit `json:"reached,omitempty"`
}

// IntervalCount counts acts within five minutes.
type IntervalCount struct {
	// startTime is when the five minutes began.
	// +required
	StartTime metav1.Time `json:"startTime,omitzero"`

	// count is how many acts there were.
	// +required
	// +kubebuilder:validation:Minimum=1
	Count int32 `json:"count,omitempty"`
}

// Limit is the name of a limit; it is also the reason of the condition WithinLimits.
// +kubebuilder:validation:Enum=GrantsPerHour;RestartsPerHour;RevocationsPerHour;CircuitBreaker
type Limit string

const (
	// LimitGrants: as many members were added as maxGrantsPerHour allows.
	LimitGrants Limit = "GrantsPerHour"
	// LimitRestarts: as many restarts were begun as maxRestartsPerHour allows.
	LimitRestarts Limit = "RestartsPerHour"
	// LimitRevocations: as many revocations were begun as maxRevocationsPerHour allows.
	LimitRevocations Limit = "RevocationsPerHour"
	// LimitCircuitBreaker: pods request more repositories than circuitBreaker allows.
	LimitCircuitBreaker Limit = "CircuitBreaker"
)

// ReachedLimit is a limit that holds up a grant, a restart or a revocation.
type ReachedLimit struct {
	// limit is its name.
	// +required
	Limit Limit `json:"limit,omitempty"`

	// namespace is the namespace that has used its share of the limit. Unset: the whole
	// limit is used.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// resetTime is when the limit allows the next one.
	// +required
	ResetTime metav1.Time `json:"resetTime,omitzero"`
}
