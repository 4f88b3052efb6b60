// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pull-access/pull-access-operator/hack/bench/measure"
)

const (
	// A process is at rest when it has used no more than a hundredth of a core for restWindow.
	restWindow = 5 * time.Second
	restShare  = 100
	// settleBound is how long it may take to come to rest.
	settleBound = 3 * time.Minute
	// restSamples is how many times, a second apart, a process at rest is looked at.
	restSamples = 30
	// heapSamples is how many times its metrics are asked, after that: asking costs it something.
	heapSamples = 5
)

var errRestless = errors.New("the process did not come to rest")

// usage is what a manager costs that has nothing to do.
type usage struct {
	// start is the CPU time until it was at rest, resting what it used in restSamples seconds of rest.
	start, resting time.Duration
	// resident and heap are medians; received is what it had read when it was at rest.
	resident, heap, received int64
	// atStart and atRest are its requests to the API server, by kind.
	atStart, atRest map[string]int

	begin, rest, end time.Time
}

// observe measures a manager that has been launched at begin.
func observe(ctx context.Context, p *program, begin time.Time) (usage, error) {
	u := usage{begin: begin}
	var err error
	if u.start, err = settle(ctx, p); err != nil {
		return u, err
	}
	if u.received, err = p.proc().Received(); err != nil {
		return u, err
	}
	u.rest = time.Now()
	var resident, heap []int64
	for range restSamples {
		if err := pause(ctx, time.Second); err != nil {
			return u, err
		}
		n, err := p.proc().Resident()
		if err != nil {
			return u, err
		}
		resident = append(resident, n)
	}
	u.end = time.Now()
	after, err := p.proc().CPU()
	if err != nil {
		return u, err
	}
	u.resting, u.resident = after-u.start, median(resident)
	for range heapSamples {
		series, err := p.series(ctx)
		if err != nil {
			return u, err
		}
		heap = append(heap, int64(series["go_memstats_heap_inuse_bytes"]))
	}
	u.heap = median(heap)
	return u, nil
}

// settle waits until the process is at rest, and returns the CPU time that it has used until then.
func settle(ctx context.Context, p *program) (time.Duration, error) {
	var seen []time.Duration
	for begin := time.Now(); time.Since(begin) < settleBound; {
		used, err := p.proc().CPU()
		if err != nil {
			return 0, errors.Join(p.Exited(), err)
		}
		seen = append(seen, used)
		window := int(restWindow / time.Second)
		if len(seen) > window && used-seen[len(seen)-1-window] <= restWindow/restShare {
			return used, nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return 0, err
		}
	}
	return 0, errRestless
}

// ask reads from the audit log what the manager has asked for. Its watches stand there only after it was stopped.
func (u *usage) ask(log, user string) error {
	requests, err := measure.Requests(log, user, u.begin)
	if err != nil {
		return err
	}
	u.atStart, u.atRest = map[string]int{}, map[string]int{}
	for _, r := range requests {
		switch {
		case r.Time.Before(u.rest):
			u.atStart[r.Verb+" "+r.Resource]++
		case r.Time.Before(u.end):
			u.atRest[r.Verb+" "+r.Resource]++
		}
	}
	return nil
}

func median(values []int64) int64 {
	slices.Sort(values)
	return values[len(values)/2]
}
