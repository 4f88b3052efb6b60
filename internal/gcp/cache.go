// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	lru "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
)

// cache keeps answers for a time that depends on the answer, and makes one read
// of many for the same key.
type cache[K comparable, V any] struct {
	ttl func(V) time.Duration
	// givenUp is the answer for who does not wait for one.
	givenUp V
	flights singleflight.Group

	mu sync.Mutex
	// era counts the drops: a read begun before one is not kept after it.
	era     int
	answers *lru.LRUExpireCache
}

func newCache[K comparable, V any](c clock.PassiveClock, size int, givenUp V, ttl func(V) time.Duration) *cache[K, V] {
	return &cache[K, V]{ttl: ttl, givenUp: givenUp, answers: lru.NewLRUExpireCacheWithClock(size, c)}
}

// get answers from memory or by read. The read is shared: it goes on when this
// caller leaves.
func (c *cache[K, V]) get(ctx context.Context, key K, read func(context.Context) V) V {
	answer, era, ok := c.lookup(key)
	if ok {
		return answer
	}
	shared := context.WithoutCancel(ctx)
	// Who asks after a drop must not join a read begun before it, so the era is part of the flight's name.
	flight := c.flights.DoChan(fmt.Sprintf("%d %#v", era, key), func() (any, error) {
		if answer, _, ok := c.lookup(key); ok {
			return answer, nil // Another flight landed since.
		}
		answer := read(shared)
		c.keep(key, answer, era)
		return answer, nil
	})
	select {
	case <-ctx.Done():
		return c.givenUp
	case result := <-flight:
		if answer, ok := result.Val.(V); ok {
			return answer
		}
		return c.givenUp // No flight ends otherwise.
	}
}

func (c *cache[K, V]) lookup(key K) (answer V, era int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, ok := c.answers.Get(key)
	if ok {
		answer, ok = kept.(V)
	}
	return answer, c.era, ok
}

func (c *cache[K, V]) keep(key K, answer V, era int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if era == c.era {
		c.answers.Add(key, answer, c.ttl(answer))
	}
}

// now is the era, for renew.
func (c *cache[K, V]) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.era
}

// renew forgets all that was read up to the era. If somebody did so already, what
// was read since is kept: of many who want a new answer, one makes the read.
func (c *cache[K, V]) renew(era int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if era == c.era {
		c.era++
		c.answers.RemoveAll(func(any) bool { return true })
	}
}

// drop forgets the answers whose keys match, and those being read.
func (c *cache[K, V]) drop(match func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.era++
	c.answers.RemoveAll(func(key any) bool {
		k, ok := key.(K)
		return ok && match(k)
	})
}
