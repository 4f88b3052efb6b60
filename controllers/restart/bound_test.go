// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"strconv"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestWhatIsRememberedIsBounded adds more workloads than are ever stuck at once.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	const many, most = 50000, 20000
	clock := clocktesting.NewFakePassiveClock(time.Unix(0, 0))
	looks, claims := newLooks(clock), newClaims(clock)
	for i := range many {
		w := v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: strconv.Itoa(i)}
		looks.keep(lookKey("grant", w), look{}, 0)
		claims.take(w, "grant")
	}
	for name, n := range map[string]int{"looks": len(looks.last.Keys()), "claims": len(claims.taken.Keys())} {
		if n == 0 || n > most {
			t.Errorf("%d %s are remembered, want some, and at most %d", n, name, most)
		}
	}
}
