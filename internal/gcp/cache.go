// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"maps"
	"sync"
	"time"

	lru "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
)

// cache keeps answers for a time that depends on the answer, and makes one read
// of many for the same key.
type cache[K comparable, V any] struct {
	// ttl of 0 is for an answer that is not kept.
	ttl func(V) time.Duration
	// givenUp is the answer for who does not wait for one.
	givenUp V

	mu      sync.Mutex
	answers *lru.LRUExpireCache
	// flights are the reads under way that may be joined. One that was dropped is
	// not among them any more: who waits for it gets its answer, and nobody else.
	flights map[K]*flight[V]
}

// flight is one read for all who ask meanwhile.
type flight[V any] struct {
	answer V
	landed chan struct{}
}

func newCache[K comparable, V any](c clock.PassiveClock, size int, givenUp V, ttl func(V) time.Duration) *cache[K, V] {
	return &cache[K, V]{
		ttl: ttl, givenUp: givenUp, answers: lru.NewLRUExpireCacheWithClock(size, c), flights: map[K]*flight[V]{},
	}
}

// get answers from memory or by read. The read is shared: it goes on when this
// caller leaves.
func (c *cache[K, V]) get(ctx context.Context, key K, read func(context.Context) V) V {
	answer, f := c.join(ctx, key, read)
	if f == nil {
		return answer
	}
	select {
	case <-ctx.Done():
		return c.givenUp
	case <-f.landed:
		return f.answer
	}
}

// join gives the answer that is kept, or else the flight that will bring one.
func (c *cache[K, V]) join(ctx context.Context, key K, read func(context.Context) V) (V, *flight[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer, ok := c.kept(key); ok {
		return answer, nil
	}
	f := c.flights[key]
	if f == nil {
		f = &flight[V]{answer: c.givenUp, landed: make(chan struct{})}
		c.flights[key] = f
		go c.fly(context.WithoutCancel(ctx), key, f, read)
	}
	return c.givenUp, f
}

func (c *cache[K, V]) fly(ctx context.Context, key K, f *flight[V], read func(context.Context) V) {
	defer close(f.landed)
	f.answer = read(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[key] == f {
		delete(c.flights, key)
		c.keep(key, f.answer)
	}
}

// kept is what is remembered. Whoever calls it or keep holds mu.
func (c *cache[K, V]) kept(key K) (answer V, ok bool) {
	found, ok := c.answers.Get(key)
	if ok {
		answer, ok = found.(V)
	}
	return answer, ok
}

func (c *cache[K, V]) keep(key K, answer V) {
	if ttl := c.ttl(answer); ttl > 0 {
		c.answers.Add(key, answer, ttl)
	}
}

// put keeps an answer that came otherwise. What is being read is older.
func (c *cache[K, V]) put(key K, answer V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, key)
	c.answers.Remove(key)
	c.keep(key, answer)
}

// forget forgets the answer if it still is the one that is meant: of many who want
// a new one, one makes the read.
func (c *cache[K, V]) forget(key K, meant func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer, ok := c.kept(key); ok && meant(answer) {
		c.answers.Remove(key)
	}
}

// drop forgets the answers whose keys match, and those being read. Reads of other
// keys are left to themselves.
func (c *cache[K, V]) drop(match func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.flights, func(key K, _ *flight[V]) bool { return match(key) })
	c.answers.RemoveAll(func(key any) bool {
		k, ok := key.(K)
		return ok && match(k)
	})
}
