// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"slices"
	"time"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// BreakerResetTime tells until when so many repositories are asked for at once that nothing is
// granted; zero if it is not so. asked says when each was last asked for.
func BreakerResetTime[R comparable](asked map[R]time.Time, limits Limits, now time.Time) time.Time {
	var ends []time.Time
	for _, at := range asked {
		if end := at.Add(limits.CircuitBreakerWindow); now.Before(end) {
			ends = append(ends, end)
		}
	}
	if len(ends) <= limits.CircuitBreakerRepositories {
		return time.Time{}
	}
	slices.SortFunc(ends, time.Time.Compare)
	return ends[len(ends)-limits.CircuitBreakerRepositories-1]
}

// regrantWithin is how long after a revocation a new request does not count for the
// circuit breaker.
const regrantWithin = 24 * time.Hour

// Regrants tells whether the grant was requested again within a day after the operator
// itself revoked it. Such a request does not count for the circuit breaker: many grants
// that expire together are requested together.
func Regrants(g *v1alpha1.PullAccessGrant) bool {
	requested := g.Status.RequestedTime
	if requested == nil {
		return false
	}
	for _, entry := range slices.Backward(g.Status.History) {
		if entry.Time.After(requested.Time) {
			continue
		}
		switch v1alpha1.EndReason(entry.Event) {
		case v1alpha1.EndExpired, v1alpha1.EndUnused, v1alpha1.EndPolicyGone:
			return requested.Sub(entry.Time.Time) < regrantWithin
		case v1alpha1.EndRevoked, v1alpha1.EndRemovedExternally, v1alpha1.EndRemovedByOwner, v1alpha1.EndDenied, v1alpha1.EndLapsed, v1alpha1.EndPolicyChanged:
			return false
		default:
		}
	}
	return false
}
