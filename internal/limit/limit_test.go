// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

var now = time.Date(2026, 11, 1, 3, 2, 30, 0, time.UTC)

func TestLimitsOf(t *testing.T) {
	unset := LimitsOf(v1alpha1.LimitsSpec{})
	if want := (Limits{20, 60, 5 * time.Minute, 10, 10 * time.Minute}); unset != want {
		t.Errorf("what is unset means %+v, want %+v", unset, want)
	}
	said := LimitsOf(v1alpha1.LimitsSpec{
		MaxGrantsPerHour: 1, MaxRestartsPerHour: 2, RestartCooldown: &metav1.Duration{},
		CircuitBreaker: v1alpha1.CircuitBreakerSpec{MaxRepositories: 3, Window: &metav1.Duration{Duration: time.Minute}},
	})
	if want := (Limits{1, 2, 0, 3, time.Minute}); said != want {
		t.Errorf("LimitsOf = %+v, want %+v", said, want)
	}
}

// TestNoHourHoldsMore lets acts happen whenever the limit allows them, at random
// times: no hour ever holds more than the limit, none is kept longer than need be,
// and the list stays bounded.
func TestNoHourHoldsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		var counts []v1alpha1.IntervalCount
		var acts []time.Time
		at := now
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 1200).Draw(t, "seconds")) * time.Second)
			for range min(rapid.IntRange(0, 10).Draw(t, "wanted"), Left(counts, limit, at)) {
				counts = Add(counts, 1, at)
				acts = append(acts, at)
			}
			if len(counts) > 16 {
				t.Fatalf("%d stretches are kept, the schema takes 16", len(counts))
			}
			opens := ResetTime(counts, limit, at)
			if (Left(counts, limit, at) > 0) != opens.Equal(at) || Left(counts, limit, opens) == 0 {
				t.Fatalf("at %v there are %d left, and it opens at %v with %d", at, Left(counts, limit, at), opens, Left(counts, limit, opens))
			}
			if opens.Sub(at) > hour+stretch {
				t.Fatalf("it opens only after %v", opens.Sub(at))
			}
		}
		for i, first := range acts {
			n := 0
			for _, other := range acts[i:] {
				if other.Before(first.Add(hour)) {
					n++
				}
			}
			if n > limit {
				t.Fatalf("%d acts within the hour after %v, the limit is %d", n, first, limit)
			}
		}
	})
}

func TestAddTakesBack(t *testing.T) {
	counts := Add(Add(nil, 2, now), 3, now.Add(10*time.Minute))
	if left := Left(counts, 10, now.Add(10*time.Minute)); left != 5 {
		t.Fatalf("%d are left of 10 after 5", left)
	}
	counts = Add(counts, -4, now.Add(20*time.Minute))
	if left := Left(counts, 10, now.Add(20*time.Minute)); left != 9 || len(counts) != 1 {
		t.Errorf("after 4 were taken back %d are left in %+v", left, counts)
	}
	if more := Add(counts, -9, now.Add(20*time.Minute)); len(more) != 0 {
		t.Errorf("more was taken back than was there: %+v", more)
	}
	if left := Left(counts, 0, now); left != 0 {
		t.Errorf("of nothing %d are left", left)
	}
}

func TestClockSetBackFreesNothing(t *testing.T) {
	counts := Add(nil, 3, now)
	counts = Add(counts, 1, now.Add(-30*time.Minute))
	if left := Left(counts, 4, now.Add(-30*time.Minute)); left != 0 {
		t.Errorf("%d are left", left)
	}
}

func TestBreakerResetTime(t *testing.T) {
	limits := Limits{CircuitBreakerRepositories: 2, CircuitBreakerWindow: 10 * time.Minute}
	tests := map[string]struct {
		ago  []time.Duration
		want time.Duration
	}{
		"nothing":           {},
		"as many as may be": {ago: []time.Duration{0, time.Minute}},
		"one more":          {ago: []time.Duration{0, time.Minute, 4 * time.Minute}, want: 6 * time.Minute},
		"two more":          {ago: []time.Duration{0, time.Minute, 4 * time.Minute, 5 * time.Minute}, want: 6 * time.Minute},
		"one is long ago":   {ago: []time.Duration{0, time.Minute, 10 * time.Minute}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			asked := map[int]time.Time{}
			for i, ago := range tc.ago {
				asked[i] = now.Add(-ago)
			}
			until := BreakerResetTime(asked, limits, now)
			if tc.want == 0 != until.IsZero() || tc.want != 0 && !until.Equal(now.Add(tc.want)) {
				t.Errorf("BreakerResetTime = %v, want in %v", until, tc.want)
			}
			if !until.IsZero() && !BreakerResetTime(asked, limits, until).IsZero() {
				t.Error("it is still a storm when it was to end")
			}
		})
	}
}

func TestReachAndReset(t *testing.T) {
	limits := Limits{GrantsPerHour: 2}
	status := v1alpha1.LimitsStatus{Grants: Add(nil, 2, now)}
	if !Reach(&status, v1alpha1.LimitGrants, now.Add(time.Minute)) || Reach(&status, v1alpha1.LimitGrants, now) {
		t.Error("only the first of two trips is news")
	}
	Reach(&status, v1alpha1.LimitCircuitBreaker, now.Add(time.Second/2))
	if next := Reset(&status, limits, now); !next.Equal(now.Add(time.Second)) || len(status.Reached) != 2 {
		t.Errorf("the next opens at %v of %+v", next, status.Reached)
	}
	if next := Reset(&status, limits, now.Add(time.Second)); !next.Equal(now.Add(time.Minute)) {
		t.Errorf("the next opens at %v", next)
	}
	if next := Reset(&status, limits, now.Add(time.Minute)); !next.IsZero() || len(status.Reached) != 0 {
		t.Errorf("open at %v: %+v", next, status.Reached)
	}
	Reach(&status, v1alpha1.LimitGrants, now.Add(time.Minute))
	if Reset(&status, Limits{GrantsPerHour: 3}, now); len(status.Reached) != 0 {
		t.Errorf("with more room it still holds: %+v", status.Reached)
	}
}
