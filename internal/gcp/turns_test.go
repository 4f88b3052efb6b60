// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

// turns is the time of a play of many who wait: it passes when all of them do, up
// to the moment at which the first goes on, and one goes on at a time. So minutes
// of waiting take none, and the machine's speed changes nothing.
type turns struct {
	mu      sync.Mutex
	now     time.Duration
	awake   int
	waiting []turn
	random  *rand.Rand
}

type turn struct {
	at time.Duration
	on chan struct{}
}

// play runs all of the players to their end.
func (t *turns) play(players ...func()) {
	t.awake = len(players)
	var all sync.WaitGroup
	for _, player := range players {
		all.Go(func() {
			defer t.leave()
			t.wait(0) // For its first turn.
			player()
		})
	}
	all.Wait()
}

// wait lets d pass.
func (t *turns) wait(d time.Duration) {
	t.mu.Lock()
	mine := turn{at: t.now + d, on: make(chan struct{})}
	t.waiting = append(t.waiting, mine)
	t.next()
	t.mu.Unlock()
	<-mine.on
}

func (t *turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next()
}

// next takes the turn from the one who calls, and needs t.mu.
func (t *turns) next() {
	t.awake--
	if t.awake > 0 || len(t.waiting) == 0 {
		return
	}
	first := 0
	for i, other := range t.waiting {
		if other.at < t.waiting[first].at {
			first = i
		}
	}
	t.now = t.waiting[first].at
	t.awake++
	close(t.waiting[first].on)
	t.waiting = slices.Delete(t.waiting, first, first+1)
}

func (t *turns) passed() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

// around is d, give or take a fifth.
func (t *turns) around(d time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Duration(float64(d) * (0.8 + 0.4*t.random.Float64()))
}

// between is a time from from up to to.
func (t *turns) between(from, to time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return from + time.Duration(t.random.Int64N(int64(to-from)))
}

// distant puts latency between the clients and the server at endpoint, half of it
// on each way. Whoever asks holds a turn.
func (t *turns) distant(tb testing.TB, endpoint string, latency time.Duration) string {
	tb.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.wait(t.around(latency / 2))
		body, code, err := forward(transport, r, endpoint)
		t.wait(t.around(latency / 2))
		if err != nil {
			tb.Errorf("forward %s: %v", r.URL.Path, err)
			code = http.StatusBadGateway
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = w.Write(body)
	}))
	tb.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.URL
}

// forward asks the server at endpoint what was asked here.
func forward(through http.RoundTripper, r *http.Request, endpoint string) (body []byte, code int, err error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, endpoint+r.URL.RequestURI(), r.Body)
	if err != nil {
		return nil, 0, err
	}
	out.Header, out.ContentLength = r.Header, r.ContentLength
	answer, err := through.RoundTrip(out)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err = io.ReadAll(answer.Body)
	return body, answer.StatusCode, err
}

// deadlineClock makes the waits of one player by turns, and ends its context where
// one goes beyond its deadline.
type deadlineClock struct {
	*clocktesting.FakeClock
	turns    *turns
	deadline time.Duration
	cancel   context.CancelCauseFunc
}

// NewTimer implements clock.Clock.
func (c *deadlineClock) NewTimer(d time.Duration) clock.Timer {
	timer := c.FakeClock.NewTimer(d)
	if left := c.deadline - c.turns.passed(); d > left {
		c.turns.wait(left)
		c.cancel(context.DeadlineExceeded)
		return timer
	}
	c.turns.wait(d)
	c.Step(d)
	return timer
}

// within gives f a context that ends when d has passed.
func (c *deadlineClock) within(ctx context.Context, d time.Duration, f func(context.Context)) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.deadline, c.cancel = c.turns.passed()+d, cancel
	f(ctx)
}
