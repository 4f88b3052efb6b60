// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// total is the number of acts within the hour before now.
func total(counts []v1alpha1.IntervalCount, now time.Time) int {
	done := 0
	for _, c := range current(counts, now) {
		done += int(c.Count)
	}
	return done
}

// Add counts n more acts, or fewer where n is negative, and forgets what no longer
// counts. A negative n reduces the latest counts first.
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

// current are the counts that still bear on the hour before now.
func current(counts []v1alpha1.IntervalCount, now time.Time) []v1alpha1.IntervalCount {
	first := slices.IndexFunc(counts, func(c v1alpha1.IntervalCount) bool { return now.Before(resetOf(c)) })
	if first < 0 {
		return nil
	}
	return counts[first:]
}

// resetOf is when an interval no longer counts.
func resetOf(c v1alpha1.IntervalCount) time.Time { return c.StartTime.Add(hour + stretch) }
