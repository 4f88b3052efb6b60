// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

const (
	// looksKept bounds how many workloads are remembered.
	looksKept = 16384
	// lookedFor is for how long: what changes without a sign is seen by then.
	lookedFor = 10 * time.Minute
)

// looks remember what was seen of workloads that are stuck, so that a pass reads live
// only those of which something has changed or is due. They may be lost.
type looks struct {
	last *cache.LRUExpireCache
	// era counts how often all was forgotten: what was judged before is not kept after.
	era atomic.Int64
}

// look is what was seen of one workload on one grant's record.
type look struct {
	fingerprint string
	// due is when there is something to do although nothing changes; zero is never.
	due time.Time
}

func newLooks(clock clock.PassiveClock) *looks {
	return &looks{last: cache.NewLRUExpireCacheWithClock(looksKept, clock)}
}

func lookKey(grant string, w v1alpha1.Workload) string { return grant + " " + workloadKey(w) }

// same tells whether nothing has changed since the last look, and nothing is due.
func (l *looks) same(key, fingerprint string, now time.Time) (look, bool) {
	known, _ := l.last.Get(key)
	before, ok := known.(look)
	return before, ok && before.fingerprint == fingerprint && (before.due.IsZero() || now.Before(before.due))
}

func (l *looks) keep(key string, seen look, era int64) {
	if era == l.era.Load() {
		l.last.Add(key, seen, lookedFor)
	}
}

// forget has every workload looked at anew.
func (l *looks) forget() {
	l.era.Add(1)
	l.last.RemoveAll(func(any) bool { return true })
}

// fingerprint is all that a plan goes by and that shows without a live read: the record,
// and the pods that fail.
func fingerprint(grant *v1alpha1.PullAccessGrantStatus, w v1alpha1.WorkloadStatus, failing string) string {
	return fmt.Sprintln(w.State, w.UID, w.Policy, w.Attempts, w.RestartTime, w.FailingSince, grant.GrantedTime, grant.EffectiveTime, failing)
}

// anyOfThem stands for the pods that fail while a rollout is under way: of it nothing is
// of interest but its end.
const anyOfThem = "some"

// failingOf names the pods that fail, each with what it comes to; "" is none.
func failingOf(grant *v1alpha1.PullAccessGrant, w v1alpha1.WorkloadStatus, failing []failingPod) string {
	if w.State == v1alpha1.WorkloadRestarting && grantstatus.Effective(grant) && anyDenied(failing) {
		return anyOfThem
	}
	var names []string
	for _, f := range failing {
		cause := string(f.cause)
		if f.denied {
			cause = "denied" // By whichever of its texts.
		}
		names = append(names, string(f.pod.UID)+" "+cause)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

func anyDenied(failing []failingPod) bool {
	return slices.ContainsFunc(failing, func(f failingPod) bool { return f.denied })
}
