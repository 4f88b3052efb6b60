// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// verdict is an answer that may be missing.
type verdict int

const (
	unknown verdict = iota
	yes
	no
)

// SetParent puts a project ("projects/P") or a folder under a folder
// ("folders/N") or an organization ("organizations/N"). What SetPolicy and
// SetDenyPolicy set there reaches all below.
func (e *Emulator) SetParent(child, parent string) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.parents[child] = parent
}

// SetGroup makes a group, or replaces its members. They are written as in a
// policy: "serviceAccount:EMAIL", "user:EMAIL" or "group:EMAIL".
func (e *Emulator) SetGroup(group string, members ...string) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.groups[strings.ToLower(group)] = slices.Clone(members)
}

// lineage is a resource and all whose policies it inherits, nearest first. It
// needs s.mu, as does includes.
func (s *state) lineage(resource string) []string {
	line := []string{resource}
	above := projectOf(resource)
	if above == resource {
		above = s.parents[resource]
	}
	for above != "" && !slices.Contains(line, above) {
		line = append(line, above)
		above = s.parents[above]
	}
	return line
}

// includes tells whether one of the members is this caller, also through groups.
func (s *state) includes(members []string, who identity) bool {
	if slices.ContainsFunc(members, who.is) {
		return true
	}
	seen := map[string]bool{}
	for open := slices.Clone(members); len(open) > 0; open = open[1:] {
		group, isGroup := strings.CutPrefix(strings.ToLower(open[0]), "group:")
		if !isGroup || seen[group] {
			continue
		}
		seen[group] = true
		if slices.ContainsFunc(s.groups[group], who.is) {
			return true
		}
		open = append(open, s.groups[group]...)
	}
	return false
}

// conditionHolds evaluates no expression but the two constants.
func conditionHolds(binding *iampb.Binding) verdict {
	if binding.GetCondition() == nil {
		return yes
	}
	switch strings.TrimSpace(binding.GetCondition().GetExpression()) {
	case "true":
		return yes
	case "false":
		return no
	}
	return unknown
}
