// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"time"

	"google.golang.org/api/container/v1"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// How long such an answer serves. A transient error is not kept: outages limit the retries.
// Any other fault is kept for briefTTL.
const (
	// roleTTL: what a custom role holds is rarely changed.
	roleTTL = 10 * time.Minute
	// clusterTTL is short, as node pools come and go: an account found there is
	// remembered by node.
	clusterTTL = time.Minute
	// numberTTL: a project keeps its number.
	numberTTL = 24 * time.Hour
	// listTTL: whoever makes up tags or names of images, pod after pod, makes us
	// list each package and repository once in that time.
	listTTL = time.Minute
	// writtenTTL is for a policy as Google answered it to our own write: IAM reads back
	// what was written. As it was read, a policy serves for briefTTL.
	writtenTTL = 5 * time.Minute
)

// How many such answers are kept.
const (
	maxRoles    = 1024
	maxClusters = 16
	maxNumbers  = 1024
	maxLists    = 64 // Each is of up to maxNames names.
	maxPolicies = 64 // Each is of up to iampolicy.MaxPrincipals, or 150 KB.
)

// shared remembers what several answers rest on: one read of a cluster serves
// its nodes, one of a role all who have it, and one of a repository's IAM policy the access
// of all members.
type shared struct {
	roles    *cache[string, read[iampolicy.Reach]]
	clusters *cache[diagnosis.Cluster, read[*container.Cluster]]
	numbers  *cache[string, read[string]]
	// tags are by package, packages by repository.
	tags, packages *cache[string, read[[]diagnosis.Candidate]]
	policies       *cache[imageref.Repository, read[*knownPolicy]]
}

// read is what came of one: a value or a fault.
type read[V any] struct {
	value V
	fault *fault
}

func newShared(c clock.PassiveClock) *shared {
	return &shared{
		roles:    newCache[string](c, maxRoles, lost[iampolicy.Reach](), keptFor[iampolicy.Reach](roleTTL)),
		clusters: newCache[diagnosis.Cluster](c, maxClusters, lost[*container.Cluster](), keptFor[*container.Cluster](clusterTTL)),
		numbers:  newCache[string](c, maxNumbers, lost[string](), keptFor[string](numberTTL)),
		tags:     newCache[string](c, maxLists, lost[[]diagnosis.Candidate](), keptList),
		packages: newCache[string](c, maxLists, lost[[]diagnosis.Candidate](), keptList),
		policies: newCache[imageref.Repository](c, maxPolicies, lost[*knownPolicy](), policyTTL),
	}
}

// lost is what comes of a read that was not waited for.
func lost[V any]() read[V] {
	return read[V]{fault: &fault{kind: unavailable, detail: givenUp.Detail}}
}

func keptFor[V any](found time.Duration) func(read[V]) time.Duration {
	return func(r read[V]) time.Duration {
		switch {
		case r.fault.transient():
			return 0
		case r.fault != nil:
			return briefTTL
		default:
			return found
		}
	}
}

// keptList keeps a list; that there is nothing to list is an answer as well.
func keptList(r read[[]diagnosis.Candidate]) time.Duration {
	if r.fault != nil && r.fault.kind == notFound {
		return listTTL
	}
	return keptFor[[]diagnosis.Candidate](listTTL)(r)
}

// remember answers from memory, or by do.
func remember[K comparable, V any](ctx context.Context, c *cache[K, read[V]], key K, do func(context.Context) (V, *fault)) (V, *fault) {
	answer := c.get(ctx, key, func(ctx context.Context) read[V] {
		value, f := do(ctx)
		return read[V]{value: value, fault: f}
	})
	return answer.value, answer.fault
}
