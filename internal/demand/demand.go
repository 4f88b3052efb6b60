// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package demand keeps in memory which failing pods need which grant now.
//
// It connects the decision with the grant: the pod controller stores here what each pod
// needs, and the controllers of grants, restarts and policies read it. It is derived from
// pods and bounded, and nothing is lost with it: after a restart of the operator, the pods
// are evaluated again.
package demand

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	lru "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	// MaxClaims limits the claims of all pods, and MaxClaimsOfNamespace those of one
	// namespace: users decide how many pods of a selected namespace fail.
	MaxClaims, MaxClaimsOfNamespace = 32768, 4096
	// MaxNeeds limits the grants that one pod can need.
	MaxNeeds = 16
	// lostKept limits the grants of which the end of the demand is remembered, for lostFor.
	lostKept, lostFor = 4096, 24 * time.Hour
)

// Need is one grant that a pod needs.
type Need struct {
	Repository imageref.Repository
	// Member is the node's account as IAM writes it: serviceAccount:EMAIL.
	Member string
	// Policy is the name of the PullAccessPolicy that allows the grant, and Mode its mode.
	// Nothing is granted for a need in mode DryRun.
	Policy string
	Mode   v1alpha1.PolicyMode
	// Workload owns the pod.
	Workload v1alpha1.Workload
	Details
}

// Details describe a need for people. Of all pods that need a grant, those of the latest
// evaluation are kept.
type Details struct {
	Image string
	// Evidence is the part of the runtime's text that the cause rests on.
	Evidence string
	// Unknowns are the facts that could not be read.
	Unknowns []string
}

// Grant returns the name of the grant.
func (n Need) Grant() string { return decision.GrantName(n.Repository, n.Member) }

// Claim is the need of one pod for one grant.
type Claim struct {
	Pod      types.NamespacedName
	Policy   string
	Mode     v1alpha1.PolicyMode
	Workload v1alpha1.Workload
	// Since is the time of the first evaluation that found this need.
	Since time.Time

	expires time.Time
}

// Demand is the need of all pods for one grant.
type Demand struct {
	Repository imageref.Repository
	Member     string
	Details
	// Claims are sorted by Since, then by pod. There is at least one.
	Claims []Claim
}

// Store holds the demand. It is safe for concurrent use.
type Store struct {
	clock clock.PassiveClock

	mu     sync.Mutex
	grants map[string]*grant
	// pods are the names of the grants that each pod needs.
	pods map[types.NamespacedName][]string
	// inNamespace counts the claims of each namespace, and all those of the store.
	inNamespace map[string]int
	all         int
	// lost is when the demand for a grant ended.
	lost *lru.LRUExpireCache
	// expected are the pods of the first list that are not evaluated yet. Until Expect names
	// them it is nil, and early are the pods that were evaluated before. completed is when the
	// last of expected was evaluated; zero before that.
	expected, early sets.Set[types.NamespacedName]
	completed       time.Time

	watchers []func(Need)
}

type grant struct {
	repository imageref.Repository
	member     string
	details    Details
	claims     map[types.NamespacedName]Claim
}

// New returns an empty store.
func New(c clock.PassiveClock) *Store {
	return &Store{
		clock: c, grants: map[string]*grant{}, pods: map[types.NamespacedName][]string{}, inNamespace: map[string]int{},
		lost: lru.NewLRUExpireCacheWithClock(lostKept, c), early: sets.New[types.NamespacedName](),
	}
}

// Watch has f called after each change of a need: a pod needs the grant from now on, needs
// it under another policy, or does not need it any more. It also calls f for each need of
// now. f must not block.
func (s *Store) Watch(f func(Need)) {
	s.mu.Lock()
	s.watchers = append(s.watchers, f)
	var needs []Need
	for _, g := range s.grants {
		for _, claim := range g.claims {
			needs = append(needs, g.need(claim))
		}
	}
	s.mu.Unlock()
	for _, need := range needs {
		f(need)
	}
}

// Expect names the pods of the first list. Until each of them was evaluated or deleted, the
// store is not complete. It is called once.
func (s *Store) Expect(pods []types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected, s.early = sets.New(pods...).Difference(s.early), nil
	s.complete()
}

// Has reports whether an evaluation of the pod matters: it has needs, or is expected.
func (s *Store) Has(pod types.NamespacedName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pods[pod]) > 0 || s.expected.Has(pod)
}

// Set replaces what a pod needs. A need with an expiry counts until then, one without until
// the next call of Set or Delete for the pod. Set reports whether the store had room for
// all needs.
func (s *Store) Set(pod types.NamespacedName, needs []Need, expires time.Time) bool {
	s.mu.Lock()
	changed, fits := s.set(pod, needs, expires)
	s.evaluated(pod)
	s.mu.Unlock()
	s.notify(changed)
	return fits
}

// Delete removes what a pod needs, because it was deleted or does not fail any more.
func (s *Store) Delete(pod types.NamespacedName) { s.Set(pod, nil, time.Time{}) }

func (s *Store) set(pod types.NamespacedName, needs []Need, expires time.Time) (changed []Need, fits bool) {
	before := map[string]Claim{}
	for _, name := range s.pods[pod] {
		before[name] = s.grants[name].claims[pod]
		changed = append(changed, s.remove(name, pod))
	}
	delete(s.pods, pod)
	fits = len(needs) <= MaxNeeds
	for _, need := range needs[:min(len(needs), MaxNeeds)] {
		name := need.Grant()
		if slices.Contains(s.pods[pod], name) {
			continue
		}
		claim := Claim{Pod: pod, Policy: need.Policy, Mode: need.Mode, Workload: need.Workload, Since: s.clock.Now(), expires: expires}
		old, known := before[name]
		if known {
			claim.Since = old.Since
		}
		if !known && (s.all >= MaxClaims || s.inNamespace[pod.Namespace] >= MaxClaimsOfNamespace) {
			fits = false
			continue
		}
		s.add(name, need, claim)
		old.expires = expires
		if known && old == claim {
			changed = slices.DeleteFunc(changed, func(n Need) bool { return n.Grant() == name })
		} else if !known {
			changed = append(changed, need)
		}
	}
	return changed, fits
}

func (s *Store) add(name string, need Need, claim Claim) {
	g := s.grants[name]
	if g == nil {
		g = &grant{repository: need.Repository, member: need.Member, claims: map[types.NamespacedName]Claim{}}
		s.grants[name] = g
		s.lost.Remove(name)
	}
	g.details, g.claims[claim.Pod] = need.Details, claim
	s.pods[claim.Pod] = append(s.pods[claim.Pod], name)
	s.inNamespace[claim.Pod.Namespace]++
	s.all++
}

func (s *Store) remove(name string, pod types.NamespacedName) Need {
	g := s.grants[name]
	claim := g.claims[pod]
	delete(g.claims, pod)
	if len(g.claims) == 0 {
		delete(s.grants, name)
		s.lost.Add(name, s.clock.Now(), lostFor)
	}
	if s.inNamespace[pod.Namespace]--; s.inNamespace[pod.Namespace] == 0 {
		delete(s.inNamespace, pod.Namespace)
	}
	s.all--
	return g.need(claim)
}

func (g *grant) need(claim Claim) Need {
	return Need{Repository: g.repository, Member: g.member, Policy: claim.Policy, Mode: claim.Mode, Workload: claim.Workload}
}

func (s *Store) notify(changed []Need) {
	s.mu.Lock()
	watchers := slices.Clone(s.watchers)
	s.mu.Unlock()
	for _, need := range changed {
		for _, f := range watchers {
			f(need)
		}
	}
}

// evaluated notes that a pod was evaluated, which the first list may name.
func (s *Store) evaluated(pod types.NamespacedName) {
	if s.early != nil {
		s.early.Insert(pod)
	}
	if s.expected.Has(pod) {
		s.expected.Delete(pod)
		s.complete()
	}
}

func (s *Store) complete() {
	if s.expected != nil && s.expected.Len() == 0 && s.completed.IsZero() {
		s.completed = s.clock.Now()
	}
}
