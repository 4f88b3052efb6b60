// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

const (
	// claimsKept bounds how many workloads are remembered.
	claimsKept = 16384
	// claimedFor is longer than the cache ever is behind the record that follows a claim.
	claimedFor = time.Minute
)

// claims keep two grants of one workload, which are due at the same moment, from
// restarting it twice: until the one's restart is seen on record the other waits. They
// may be lost with the process, for then nothing is under way.
type claims struct {
	mu sync.Mutex
	// taken has the name of the grant that holds a workload.
	taken *cache.LRUExpireCache
}

func newClaims(clock clock.PassiveClock) *claims {
	return &claims{taken: cache.NewLRUExpireCacheWithClock(claimsKept, clock)}
}

// take tells whether the grant may restart the workload now. It may take its own claim
// again: what it has planned may not have got on record.
func (c *claims) take(w v1alpha1.Workload, grant string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if holder, ok := c.taken.Get(workloadKey(w)); ok && holder != grant {
		return false
	}
	c.taken.Add(workloadKey(w), grant, claimedFor)
	return true
}
