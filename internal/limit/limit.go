// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package limit bounds how much is done under one policy in a time.
//
// It comes after the decision and before the act, and is pure: it counts on the
// policy's status, which outlives the operator's process. What it holds back is
// not refused: it goes on when the limit resets.
package limit

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/message"
)

const (
	// hour is the time that the limits are about.
	hour = time.Hour
	// stretch is how finely acts are counted. A stretch counts until all of it is
	// older than an hour, so that no hour ever holds more than its limit.
	stretch = 5 * time.Minute
)

// Limits are what a policy says, with every field set: the API server's defaults do
// not reach objects that are older than they are.
type Limits struct {
	GrantsPerHour, RestartsPerHour int
	RestartCooldown                time.Duration
	CircuitBreakerRepositories     int
	CircuitBreakerWindow           time.Duration
}

// LimitsOf reads them.
func LimitsOf(spec v1alpha1.LimitsSpec) Limits {
	return Limits{
		GrantsPerHour:              number(spec.MaxGrantsPerHour, v1alpha1.DefaultMaxGrantsPerHour),
		RestartsPerHour:            number(spec.MaxRestartsPerHour, v1alpha1.DefaultMaxRestartsPerHour),
		RestartCooldown:            duration(spec.RestartCooldown, v1alpha1.DefaultRestartCooldown),
		CircuitBreakerRepositories: number(spec.CircuitBreaker.MaxRepositories, v1alpha1.DefaultCircuitBreakerRepositories),
		CircuitBreakerWindow:       duration(spec.CircuitBreaker.Window, v1alpha1.DefaultCircuitBreakerWindow),
	}
}

func number(said int32, otherwise int) int {
	if said == 0 {
		return otherwise
	}
	return int(said)
}

func duration(said *metav1.Duration, otherwise time.Duration) time.Duration {
	if said == nil {
		return otherwise
	}
	return said.Duration
}

// Left is how many more acts the limit allows now; never less than 0.
func Left(counts []v1alpha1.IntervalCount, most int, now time.Time) int {
	done := 0
	for _, c := range current(counts, now) {
		done += int(c.Count)
	}
	return max(most-done, 0)
}

// Add counts n more acts, or fewer where n is negative, and forgets what no longer
// counts. What is taken back is taken from the latest.
func Add(counts []v1alpha1.IntervalCount, n int, now time.Time) []v1alpha1.IntervalCount {
	kept := slices.Clone(current(counts, now))
	for i := len(kept) - 1; n < 0 && i >= 0; i-- {
		back := min(-n, int(kept[i].Count))
		kept[i].Count -= int32(back)
		n += back
	}
	start := now.Truncate(stretch)
	switch last := len(kept) - 1; {
	case n <= 0:
	case last >= 0 && !kept[last].StartTime.Time.Before(start): // A clock that was set back counts on in the latest.
		kept[last].Count += int32(n)
	default:
		kept = append(kept, v1alpha1.IntervalCount{StartTime: metav1.NewTime(start), Count: int32(n)})
	}
	return slices.DeleteFunc(kept, func(c v1alpha1.IntervalCount) bool { return c.Count == 0 })
}

// ResetTime is when the limit next allows an act; now, if it does.
func ResetTime(counts []v1alpha1.IntervalCount, most int, now time.Time) time.Time {
	kept := current(counts, now)
	for i := range kept {
		if Left(kept[i:], most, now) > 0 {
			break
		}
		now = kept[i].StartTime.Add(hour + stretch)
	}
	return now
}

// current are the counts that still bear on the hour before now.
func current(counts []v1alpha1.IntervalCount, now time.Time) []v1alpha1.IntervalCount {
	first := slices.IndexFunc(counts, func(c v1alpha1.IntervalCount) bool { return now.Before(c.StartTime.Add(hour + stretch)) })
	if first < 0 {
		return nil
	}
	return counts[first:]
}

// BreakerResetTime tells until when so many repositories are asked for at once that nothing is
// granted; zero if it is not so. asked says when each was last asked for.
func BreakerResetTime[R comparable](asked map[R]time.Time, limits Limits, now time.Time) time.Time {
	var ends []time.Time
	for _, at := range asked {
		if end := at.Add(limits.CircuitBreakerWindow); now.Before(end) {
			ends = append(ends, end)
		}
	}
	if len(ends) <= limits.CircuitBreakerRepositories {
		return time.Time{}
	}
	slices.SortFunc(ends, time.Time.Compare)
	return ends[len(ends)-limits.CircuitBreakerRepositories-1]
}

// Reach notes on the policy that a limit holds something back until then, and reports
// whether that is news: a limit that was noted already may only hold for longer.
func Reach(status *v1alpha1.LimitsStatus, which v1alpha1.Limit, until time.Time) bool {
	at := metav1.NewTime(until.Add(time.Second - 1).Truncate(time.Second)) // Whole seconds, never early.
	i := slices.IndexFunc(status.Reached, func(t v1alpha1.ReachedLimit) bool { return t.Limit == which })
	if i < 0 {
		status.Reached = append(status.Reached, v1alpha1.ReachedLimit{Limit: which, ResetTime: at})
	} else if status.Reached[i].ResetTime.Before(&at) {
		status.Reached[i].ResetTime = at
	}
	// The one that holds for longest comes first.
	slices.SortStableFunc(status.Reached, func(a, b v1alpha1.ReachedLimit) int { return b.ResetTime.Time.Compare(a.ResetTime.Time) })
	return i < 0
}

// Reset removes those that hold no longer, because their time is over or the policy
// has been given more room, and says when the next one resets, zero if none is left.
func Reset(status *v1alpha1.LimitsStatus, limits Limits, now time.Time) time.Time {
	var next time.Time
	status.Reached = slices.DeleteFunc(status.Reached, func(t v1alpha1.ReachedLimit) bool {
		return !now.Before(t.ResetTime.Time) ||
			t.Limit == v1alpha1.LimitGrants && Left(status.Grants, limits.GrantsPerHour, now) > 0 ||
			t.Limit == v1alpha1.LimitRestarts && Left(status.Restarts, limits.RestartsPerHour, now) > 0
	})
	for _, t := range status.Reached {
		if next.IsZero() || t.ResetTime.Time.Before(next) {
			next = t.ResetTime.Time
		}
	}
	return next
}

// Sentence says what a limit holds back, by which field, and until when.
func Sentence(which v1alpha1.Limit, policy string, limits Limits, until time.Time) string {
	switch which {
	case v1alpha1.LimitGrants:
		return message.GrantLimitReached(policy, limits.GrantsPerHour, until)
	case v1alpha1.LimitRestarts:
		return message.RestartLimitReached(policy, limits.RestartsPerHour, until)
	default:
		return message.CircuitBreakerOpen(policy, limits.CircuitBreakerRepositories, limits.CircuitBreakerWindow, until)
	}
}
