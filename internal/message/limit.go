// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"time"
)

// GrantLimitReached says that the policy allows no further grant until resetTime.
func GrantLimitReached(policy string, most int, resetTime time.Time) string {
	return fmt.Sprintf("Policy %s allows %d grants in an hour (spec.limits.maxGrantsPerHour); what waits goes on at %s.", policy, most, stamp(resetTime))
}

// RestartLimitReached says that the policy allows no further restart until resetTime.
func RestartLimitReached(policy string, most int, resetTime time.Time) string {
	return fmt.Sprintf("Policy %s allows %d restarts in an hour (spec.limits.maxRestartsPerHour); what waits goes on at %s.", policy, most, stamp(resetTime))
}

// CircuitBreakerOpen says that the policy allows no grant until resetTime, because pods
// requested more than most repositories within the window.
func CircuitBreakerOpen(policy string, most int, window time.Duration, resetTime time.Time) string {
	return fmt.Sprintf("More than %d repositories are asked for within %s under policy %s (spec.limits.circuitBreaker): look for one cause behind all; if there is none, what waits goes on at %s.",
		most, window, policy, stamp(resetTime))
}
