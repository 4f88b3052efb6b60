// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

func newBook() *book {
	return &book{counts: map[v1alpha1.Limit]map[string][]v1alpha1.IntervalCount{}, reached: map[v1alpha1.Limit]v1alpha1.ReachedLimit{}}
}

// room is how many more acts the limit allows now for the namespace; never less than 0. A
// namespace may use at most half, rounded up, of what the others leave.
func (b *book) room(act Act, most int, now time.Time) int {
	own := total(b.counts[act.Limit][act.Namespace], now)
	all := b.total(act.Limit, now)
	left := most - all
	if act.Limit != v1alpha1.LimitRevocations {
		others := all - own
		left = min(left, (most-others+1)/2-own)
	}
	return max(left, 0)
}

func (b *book) total(limit v1alpha1.Limit, now time.Time) int {
	all := 0
	for _, counts := range b.counts[limit] {
		all += total(counts, now)
	}
	return all
}

// add counts n more acts, or fewer if n is negative, and forgets what no longer counts.
func (b *book) add(act Act, n int, now time.Time) {
	namespaces := b.counts[act.Limit]
	if namespaces == nil {
		namespaces = map[string][]v1alpha1.IntervalCount{}
		b.counts[act.Limit] = namespaces
	}
	namespaces[act.Namespace] = Add(namespaces[act.Namespace], n, now)
	maps.DeleteFunc(namespaces, func(_ string, counts []v1alpha1.IntervalCount) bool { return total(counts, now) == 0 })
}

// hold notes that the limit holds back an act.
func (b *book) hold(act Act, most int, now time.Time) Hold {
	reached := v1alpha1.ReachedLimit{Limit: act.Limit, ResetTime: wholeSecond(b.resetTime(act, most, now))}
	if b.total(act.Limit, now) < most {
		reached.Namespace = act.Namespace
	}
	return Hold{reached, b.reach(reached, now)}
}

// resetTime is when the limit next has room for the act.
func (b *book) resetTime(act Act, most int, now time.Time) time.Time {
	var resets []time.Time
	for _, counts := range b.counts[act.Limit] {
		for _, c := range current(counts, now) {
			resets = append(resets, resetOf(c))
		}
	}
	slices.SortFunc(resets, time.Time.Compare)
	for _, at := range slices.Compact(resets) {
		if b.room(act, most, at) > 0 {
			return at
		}
	}
	return now
}

// reach notes that a limit is reached, and reports whether that is news. The whole limit
// outranks the share of a namespace; of two equal ones, the one that holds for longer stays.
func (b *book) reach(reached v1alpha1.ReachedLimit, now time.Time) (news bool) {
	before, known := b.reached[reached.Limit]
	known = known && now.Before(before.ResetTime.Time)
	whole, wasWhole := reached.Namespace == "", before.Namespace == ""
	if !known || whole && !wasWhole || whole == wasWhole && before.ResetTime.Before(&reached.ResetTime) {
		b.reached[reached.Limit] = reached
	}
	return !known
}

// reset removes the limits that hold nothing back any more, because their time is over or
// because the policy allows more now.
func (b *book) reset(limits Limits, now time.Time) {
	maps.DeleteFunc(b.reached, func(limit v1alpha1.Limit, reached v1alpha1.ReachedLimit) bool {
		if !now.Before(reached.ResetTime.Time) {
			return true
		}
		switch limit {
		case v1alpha1.LimitGrants, v1alpha1.LimitRestarts:
			if reached.Namespace == "" {
				return b.total(limit, now) < limits.of(limit)
			}
			return b.room(Act{Limit: limit, Namespace: reached.Namespace}, limits.of(limit), now) > 0
		default: // Each grant has its own limit of revocations, and nothing is counted for the breaker.
			return false
		}
	})
}

// sum adds up the counts of all namespaces.
func (b *book) sum(limit v1alpha1.Limit, now time.Time) []v1alpha1.IntervalCount {
	byStart := map[time.Time]int32{}
	for _, counts := range b.counts[limit] {
		for _, c := range current(counts, now) {
			byStart[c.StartTime.UTC()] += c.Count
		}
	}
	return intervals(byStart)
}

// intervals returns the counts in the order of time.
func intervals(byStart map[time.Time]int32) []v1alpha1.IntervalCount {
	var sum []v1alpha1.IntervalCount
	for _, start := range slices.SortedFunc(maps.Keys(byStart), time.Time.Compare) {
		sum = append(sum, v1alpha1.IntervalCount{StartTime: metav1.NewTime(start), Count: byStart[start]})
	}
	return sum
}

// isEmpty tells whether nothing in the book counts any more.
func (b *book) isEmpty(now time.Time) bool {
	for limit := range b.counts {
		if b.total(limit, now) > 0 {
			return false
		}
	}
	for _, reached := range b.reached {
		if now.Before(reached.ResetTime.Time) {
			return false
		}
	}
	return true
}
