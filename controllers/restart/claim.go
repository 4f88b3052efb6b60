// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/cache"

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
	mu    sync.Mutex
	taken *cache.LRUExpireCache
}

func newClaims() *claims { return &claims{taken: cache.NewLRUExpireCache(claimsKept)} }

// claim is whose turn a workload is.
type claim struct {
	grant string
	until time.Time
}

// take tells whether the grant may restart the workload now. It may take its own turn
// again: what it has planned may not have got on record.
func (c *claims) take(w v1alpha1.Workload, grant string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, _ := c.taken.Get(workloadKey(w))
	if held, ok := known.(claim); ok && held.grant != grant && now.Before(held.until) {
		return false
	}
	c.taken.Add(workloadKey(w), claim{grant: grant, until: now.Add(claimedFor)}, claimedFor)
	return true
}
