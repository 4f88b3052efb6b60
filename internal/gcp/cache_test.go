// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// airport has reads land when the test says so, with the answer that it gives.
type airport struct {
	cache *cache[string, int]
	// begun gets where the answer to each read is to be sent.
	begun chan chan<- int
}

func newAirport() *airport {
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	ttl := func(answer int) time.Duration { return time.Duration(answer) * time.Minute }
	return &airport{cache: newCache[string](clock, 8, -1, ttl), begun: make(chan chan<- int, 8)}
}

// get asks, and gives where the answer will come.
func (a *airport) get(t *testing.T, key string) <-chan int {
	t.Helper()
	answer := make(chan int, 1)
	go func() {
		answer <- a.cache.get(t.Context(), key, func(context.Context) int {
			landing := make(chan int)
			a.begun <- landing
			return <-landing
		})
	}()
	return answer
}

// want fails unless the key is remembered as answer; 0 is not at all.
func (a *airport) want(t *testing.T, key string, answer int, why string) {
	t.Helper()
	a.cache.mu.Lock()
	defer a.cache.mu.Unlock()
	if got, ok := a.cache.kept(key); got != answer || ok != (answer != 0) {
		t.Errorf("%s is remembered as %d (%t), want %d: %s", key, got, ok, answer, why)
	}
}

func TestDropIsOfItsKeysAlone(t *testing.T) {
	for name, forget := range map[string]func(*cache[string, int]){
		"dropped":  func(c *cache[string, int]) { c.drop(func(key string) bool { return key == "a" }) },
		"replaced": func(c *cache[string, int]) { c.put("a", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAirport()
			early := a.get(t, "a")
			landEarly := <-a.begun
			other := a.get(t, "b")
			landOther := <-a.begun
			forget(a.cache)
			late := a.get(t, "a")
			landLate := <-a.begun // It has not joined the early one.
			again := func(context.Context) int {
				t.Error("a read of another key was begun again")
				return 0
			}
			if got := a.cache.get(gone(t), "b", again); got != -1 {
				t.Errorf("who does not wait is answered %d", got)
			}

			landEarly <- 1
			if got := <-early; got != 1 {
				t.Errorf("who asked before is answered %d, want what was read then", got)
			}
			a.want(t, "a", 0, "it was read before it was to be forgotten")
			landLate <- 2
			if got := <-late; got != 2 {
				t.Errorf("who asked after is answered %d, want what was read after", got)
			}
			a.want(t, "a", 2, "it was read since")
			landOther <- 3
			if got := <-other; got != 3 {
				t.Errorf("who asked for another key is answered %d", got)
			}
			a.want(t, "b", 3, "nobody wanted to forget it")
		})
	}
}

// TestLateLandingHidesNothing lets the early read land after the late one.
func TestLateLandingHidesNothing(t *testing.T) {
	a := newAirport()
	early := a.get(t, "a")
	landEarly := <-a.begun
	a.cache.drop(func(string) bool { return true })
	late := a.get(t, "a")
	landLate := <-a.begun
	landLate <- 2
	<-late
	landEarly <- 1
	<-early
	a.want(t, "a", 2, "the read from before came later")
}

func TestForgetsWhatIsMeant(t *testing.T) {
	a := newAirport()
	a.cache.put("a", 2)
	is := func(meant int) func(int) bool { return func(answer int) bool { return answer == meant } }
	a.cache.forget("a", is(1))
	a.want(t, "a", 2, "it is not the one that is meant")
	a.cache.forget("a", is(2))
	a.want(t, "a", 0, "it is")
	a.cache.forget("b", is(0))
}

// gone is the context of somebody who has left.
func gone(t *testing.T) context.Context {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	leave()
	return ctx
}
