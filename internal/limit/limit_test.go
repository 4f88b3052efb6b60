// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

var now = time.Date(2026, 11, 1, 3, 2, 30, 0, time.UTC)

func TestLimitsOf(t *testing.T) {
	unset := LimitsOf(v1alpha1.LimitsSpec{})
	if want := (Limits{20, 60, 20, 5 * time.Minute, 10, 10 * time.Minute}); unset != want {
		t.Errorf("what is unset means %+v, want %+v", unset, want)
	}
	said := LimitsOf(v1alpha1.LimitsSpec{
		MaxGrantsPerHour: 1, MaxRestartsPerHour: 2, MaxRevocationsPerHour: 4, RestartCooldown: &metav1.Duration{},
		CircuitBreaker: v1alpha1.CircuitBreakerSpec{MaxRepositories: 3, Window: &metav1.Duration{Duration: time.Minute}},
	})
	if want := (Limits{1, 2, 4, 0, 3, time.Minute}); said != want {
		t.Errorf("LimitsOf = %+v, want %+v", said, want)
	}
}

func TestAddTakesBack(t *testing.T) {
	counts := Add(Add(nil, 2, now), 3, now.Add(10*time.Minute))
	if left := 10 - total(counts, now.Add(10*time.Minute)); left != 5 {
		t.Fatalf("%d are left of 10 after 5", left)
	}
	counts = Add(counts, -4, now.Add(20*time.Minute))
	if left := 10 - total(counts, now.Add(20*time.Minute)); left != 9 || len(counts) != 1 {
		t.Errorf("after 4 were taken back %d are left in %+v", left, counts)
	}
	if more := Add(counts, -9, now.Add(20*time.Minute)); len(more) != 0 {
		t.Errorf("more was taken back than was there: %+v", more)
	}
}

func TestClockSetBackFreesNothing(t *testing.T) {
	counts := Add(nil, 3, now)
	counts = Add(counts, 1, now.Add(-30*time.Minute))
	if left := 4 - total(counts, now.Add(-30*time.Minute)); left != 0 {
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
