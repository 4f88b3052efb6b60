// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

const (
	// retryBudget is the time from the first call during which a read is retried.
	retryBudget = 5 * time.Second
	// firstPause is the delay before the first retry. The delay doubles for each further
	// retry.
	firstPause = 250 * time.Millisecond
	// pauseJitter is the fraction by which a delay may grow, so that simultaneous failures do not retry
	// together.
	pauseJitter = 0.2
)

// readCall makes a read-only call. It retries a transient error for about retryBudget, or
// until another read has used up its budget on the same target. The fault then says when to
// retry. While the API is out for several other projects, it makes one call without retries.
// All calls together take at most callTimeout. The first call gets a quarter of it, so that a
// hanging connection does not use up the budget.
func (c *Client) readCall(ctx context.Context, of target, do func(context.Context, *apis) error) *fault {
	all, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	began := c.clock.Now()
	pauses := wait.Backoff{Duration: firstPause, Factor: 2, Jitter: pauseJitter, Steps: math.MaxInt32}
	for timeout := c.callTimeout / 4; ; timeout = c.callTimeout {
		probe, outage := c.outages.admit(of)
		if outage != nil {
			return outage
		}
		if probe {
			timeout = c.callTimeout
		}
		f := c.callWithin(all, timeout, do)
		if !f.transient() {
			c.outages.end(of)
			return f
		}
		left := retryBudget - c.clock.Since(began)
		retry := !probe && f.kind != noCredentials && left > 0 && f.retryAfter <= left && !c.outages.widespread(of.api)
		if retry && c.wait(all, min(left, max(pauses.Step(), f.retryAfter))) == nil {
			continue
		}
		if ctx.Err() != nil {
			c.outages.abandon(of, probe) // The caller canceled, which says nothing about Google.
			return f
		}
		return c.outages.begin(of, probe, f)
	}
}

func (c *Client) callWithin(ctx context.Context, timeout time.Duration, do func(context.Context, *apis) error) *fault {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.call(ctx, do)
}

// transient reports whether the same read may succeed later.
func (f *fault) transient() bool {
	return f != nil && f.obstacle("").Kind == diagnosis.Unavailable
}
