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

// GrantShareReached says that the policy allows no further grant for the namespace until
// resetTime, because one namespace may not use the whole limit.
func GrantShareReached(policy, namespace string, most int, resetTime time.Time) string {
	return fmt.Sprintf("Namespace %s has used its share of the %d grants per hour that policy %s allows (spec.limits.maxGrantsPerHour): at most half of what other namespaces leave. Its next grant is possible at %s.",
		namespace, most, policy, stamp(resetTime))
}

// RestartShareReached is GrantShareReached for restarts.
func RestartShareReached(policy, namespace string, most int, resetTime time.Time) string {
	return fmt.Sprintf("Namespace %s has used its share of the %d restarts per hour that policy %s allows (spec.limits.maxRestartsPerHour): at most half of what other namespaces leave. Its next restart is possible at %s.",
		namespace, most, policy, stamp(resetTime))
}

// RevocationLimitReached says that the operator revokes no further grant until resetTime
// because of a change of the policy.
func RevocationLimitReached(policy string, most int, resetTime time.Time) string {
	return fmt.Sprintf("Policy %s allows %d revocations per hour after a policy was deleted or narrowed (limits.maxRevocationsPerHour). The next revocation is possible at %s.",
		policy, most, stamp(resetTime))
}

// RevocationLimited says that RevocationLimitReached holds back the revocation of the
// grant, how to revoke it at once and how to keep it.
func RevocationLimited(grant, policy string, most int, resetTime time.Time) string {
	return "No PullAccessPolicy names the repository and the account any more, and the revocation waits for a limit. " + RevocationLimitReached(policy, most, resetTime) +
		fmt.Sprintf(" To revoke it now, run kubectl pullaccess revoke %s. To keep it, let a policy list both again: kubectl edit pullaccesspolicy %s.", grant, policy)
}
