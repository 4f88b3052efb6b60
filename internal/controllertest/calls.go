// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"slices"
	"sync"
)

// Call is one call: a verb or the name of a method, and what it was about.
type Call struct{ Method, Target string }

// String is "METHOD TARGET".
func (c Call) String() string { return c.Method + " " + c.Target }

// Calls are recorded calls, in order. They are safe for concurrent use.
type Calls struct {
	mu  sync.Mutex
	all []Call
}

func (c *Calls) record(method, target string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, Call{method, target})
}

// All returns the calls.
func (c *Calls) All() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// Strings returns the calls as "METHOD TARGET".
func (c *Calls) Strings() []string {
	var all []string
	for _, call := range c.All() {
		all = append(all, call.String())
	}
	return all
}

// Of returns the targets of the calls of the method.
func (c *Calls) Of(method string) []string {
	var targets []string
	for _, call := range c.All() {
		if call.Method == method {
			targets = append(targets, call.Target)
		}
	}
	return targets
}

// Counts returns the numbers of calls, by method.
func (c *Calls) Counts() map[string]int {
	counts := map[string]int{}
	for _, call := range c.All() {
		counts[call.Method]++
	}
	return counts
}
