// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"math"
	"strings"
	"sync"
	"time"

	lru "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
)

// api identifies one of Google's APIs by the first part of its host name.
type api string

const (
	artifactRegistry     api = "artifactregistry"
	computeEngine        api = "compute"
	kubernetesEngine     api = "container"
	resourceManager      api = "cloudresourcemanager"
	identityManagement   api = "iam"
	policyTroubleshooter api = "policytroubleshooter"
)

// target is the unit of an outage: one API and the project whose resources are read. Artifact Registry runs and has
// quotas in each location, so its targets also have a location.
type target struct {
	api api
	// scope is PROJECT or PROJECT/locations/LOCATION.
	scope string
}

// targetOf returns the target of a resource name. Resources without a project share one
// target.
func targetOf(a api, resource string) target {
	parts := strings.SplitN(strings.TrimPrefix(resource, "projects/"), "/", 4)
	if a == artifactRegistry && len(parts) >= 3 && parts[1] == "locations" {
		return target{a, strings.Join(parts[:3], "/")}
	}
	return target{a, parts[0]}
}

const (
	// firstProbe is the delay before the first probe of an API that does not answer. The
	// delay doubles for each further probe, up to lastProbe.
	firstProbe = time.Second
	lastProbe  = 30 * time.Second
	// maxOutage caps Retry-After.
	maxOutage = time.Hour
	// outageMemory is how long an outage is remembered after its last probe, so that an
	// intermittent API gets fewer probes.
	outageMemory = 2 * lastProbe
	// maxOutages limits the outages in memory, because users decide which projects their images
	// name.
	maxOutages = 4096
	// maxRetriedOutages is how many projects one API may be out for before reads of further ones are not retried: the
	// API itself is out then, and retries for each project that images name would keep all workers busy.
	maxRetriedOutages = 4
)

// outages is a circuit breaker for each target: it rejects reads during an outage, except
// for one probe at a time. It is safe for concurrent use.
type outages struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	// known maps a target to its *outage.
	known *lru.LRUExpireCache
}

// outage is one target that did not answer.
type outage struct {
	// next returns the delay until the next probe.
	next wait.Backoff
	// probeAt is the time of the next probe. It is zero if the API has answered since.
	probeAt time.Time
	// probing: a probe is in flight.
	probing bool
	// met is the fault of the last read.
	met fault
}

func newOutages(c clock.PassiveClock) *outages {
	return &outages{clock: c, known: lru.NewLRUExpireCacheWithClock(maxOutages, c)}
}

// admit permits a read, or returns the fault of the outage and the time of the next probe.
// During an outage it permits only a probe, which ends with begin, end or abandon.
func (o *outages) admit(of target) (probe bool, _ *fault) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.of(of)
	if known == nil || known.probeAt.IsZero() {
		return false, nil
	}
	if known.probing || o.clock.Now().Before(known.probeAt) {
		return false, o.fault(known)
	}
	known.probing = true
	return true, nil
}

// begin records that a probe, or a read after all of its retries, ended in a transient
// error. Of simultaneous reads, only the first counts.
func (o *outages) begin(of target, probe bool, met *fault) *fault {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.of(of)
	if known == nil {
		known = &outage{next: wait.Backoff{Duration: firstProbe, Factor: 2, Cap: lastProbe, Steps: math.MaxInt32}}
	}
	if probe || known.probeAt.IsZero() {
		wait := max(known.next.Step(), min(met.retryAfter, maxOutage))
		known.probeAt, known.probing, known.met = o.clock.Now().Add(wait), false, *met
		o.known.Add(of, known, wait+outageMemory)
	}
	return o.fault(known)
}

// widespread tells whether the API is out for so many projects that a further target is not worth a retry.
func (o *outages) widespread(a api) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[string]bool{}
	for _, key := range o.known.Keys() {
		of, _ := key.(target)
		if of.api != a {
			continue
		}
		if known := o.of(of); known != nil && !known.probeAt.IsZero() {
			project, _, _ := strings.Cut(of.scope, "/")
			out[project] = true
		}
		if len(out) == maxRetriedOutages {
			return true
		}
	}
	return false
}

// end records that the API has answered. It keeps the probe interval for outageMemory.
func (o *outages) end(of target) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known := o.of(of); known != nil {
		known.probeAt, known.probing = time.Time{}, false
	}
}

// abandon records that a read ended without an answer. The next read becomes the probe.
func (o *outages) abandon(of target, probe bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known := o.of(of); known != nil && probe {
		known.probing = false
	}
}

// of returns the outage of a target, or nil. The caller of of and fault must hold mu.
func (o *outages) of(of target) *outage {
	found, _ := o.known.Get(of)
	known, _ := found.(*outage)
	return known
}

// fault returns the last fault of an outage with the delay until the next probe.
func (o *outages) fault(known *outage) *fault {
	f := known.met
	f.retryAfter = known.probeAt.Sub(o.clock.Now())
	if known.probing {
		f.retryAfter = firstProbe // The probe has usually ended by then.
	}
	return &f
}
