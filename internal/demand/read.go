// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package demand

import (
	"cmp"
	"slices"
	"time"

	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// Of returns the demand for a grant; ok is false if no pod needs it.
func (s *Store) Of(name string) (_ Demand, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.grants[name]
	if g == nil {
		return Demand{}, false
	}
	s.expire(g, name)
	return g.demand(), len(g.claims) > 0
}

// All returns the demand for all grants that match, sorted by name.
func (s *Store) All(match func(repository imageref.Repository, member string) bool) []Demand {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Demand
	for name, g := range s.grants {
		if !match(g.repository, g.member) {
			continue
		}
		if s.expire(g, name); len(g.claims) > 0 {
			all = append(all, g.demand())
		}
	}
	slices.SortFunc(all, func(a, b Demand) int {
		return cmp.Compare(decision.GrantName(a.Repository, a.Member), decision.GrantName(b.Repository, b.Member))
	})
	return all
}

func (g *grant) demand() Demand {
	d := Demand{Repository: g.repository, Member: g.member, Details: g.details, Claims: make([]Claim, 0, len(g.claims))}
	for _, claim := range g.claims {
		d.Claims = append(d.Claims, claim)
	}
	slices.SortFunc(d.Claims, func(a, b Claim) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Pod.Namespace, b.Pod.Namespace), cmp.Compare(a.Pod.Name, b.Pod.Name))
	})
	return d
}

// AbsentSince returns since when no pod is known to need the grant. It is false while a pod
// needs it, and while the store is not complete.
func (s *Store) AbsentSince(name string) (time.Time, bool) {
	if _, needed := s.Of(name); needed {
		return time.Time{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.completed.IsZero() {
		return time.Time{}, false
	}
	since := s.completed
	if known, ok := s.lost.Get(name); ok {
		if lost, ok := known.(time.Time); ok && lost.After(since) {
			since = lost
		}
	}
	return since, true
}

// expire removes the claims of a grant that have expired.
func (s *Store) expire(g *grant, name string) {
	now := s.clock.Now()
	for pod, claim := range g.claims {
		if !claim.expires.IsZero() && !now.Before(claim.expires) {
			s.remove(name, pod)
			if s.pods[pod] = slices.DeleteFunc(s.pods[pod], func(other string) bool { return other == name }); len(s.pods[pod]) == 0 {
				delete(s.pods, pod)
			}
		}
	}
}
