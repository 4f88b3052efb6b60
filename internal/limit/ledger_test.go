// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

var prod = Key{"prod", "uid-1"}

// opened returns a ledger that knows of no earlier act.
func opened() *Ledger {
	l := NewLedger()
	l.Seed(nil, nil, now)
	return l
}

func grantIn(namespace string) Act { return Act{prod, v1alpha1.LimitGrants, namespace} }

// reserved reserves n acts one by one and returns the number that the limit had room for.
func reserved(l *Ledger, act Act, most, n int, at time.Time) (got int) {
	for range n {
		one, _ := l.Reserve(act, most, 1, at)
		got += one
	}
	return got
}

// TestNoHourHoldsMore reserves for namespaces at random times: no hour ever holds more
// than the limit, no namespace ever has more than its share, and what the ledger says
// about the next act is true.
func TestNoHourHoldsMore(t *testing.T) {
	type event struct {
		at        time.Time
		namespace string
	}
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 20).Draw(t, "limit")
		l, at := opened(), now
		var acts []event
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 1200).Draw(t, "seconds")) * time.Second)
			act := grantIn(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "namespace"))
			wanted := rapid.IntRange(0, 10).Draw(t, "wanted")
			got, hold := l.Reserve(act, most, wanted, at)
			for range got {
				acts = append(acts, event{at, act.Namespace})
			}
			status, _ := l.Status(prod, Limits{GrantsPerHour: most}, at)
			if len(status.Grants) > 16 {
				t.Fatalf("the status has %d intervals, the schema takes 16", len(status.Grants))
			}
			if got == wanted {
				continue
			}
			reset := hold.ResetTime.Time
			if hold.Limit != v1alpha1.LimitGrants || !reset.After(at) || reset.Sub(at) > hour+stretch {
				t.Fatalf("at %v the ledger holds back by %+v", at, hold)
			}
			if b := l.book(prod, at); b.room(act, most, reset) == 0 || b.room(act, most, reset.Add(-time.Second)) > 0 {
				t.Fatalf("at %v the ledger has room %d, want the first room then", reset, b.room(act, most, reset))
			}
		}
		for i, first := range acts {
			all, own := 0, map[string]int{}
			for _, other := range acts[i:] {
				if other.at.Before(first.at.Add(hour)) {
					all++
					own[other.namespace]++
				}
			}
			if all > most {
				t.Fatalf("%d acts within the hour after %v, the limit is %d", all, first.at, most)
			}
			for namespace, n := range own {
				if n > (most+1)/2 {
					t.Fatalf("namespace %s has %d of %d within an hour", namespace, n, most)
				}
			}
		}
	})
}

func TestShares(t *testing.T) {
	for name, tc := range map[string]struct {
		limit v1alpha1.Limit
		most  int
		// wants are asked for in turn, by namespace.
		wants []string
		want  map[string]int
		share string
		why   string
	}{
		"a limit of one allows one":       {limit: v1alpha1.LimitGrants, most: 1, wants: []string{"a", "b"}, want: map[string]int{"a": 1}},
		"half for one":                    {limit: v1alpha1.LimitGrants, most: 20, wants: repeat("a", 20), want: map[string]int{"a": 10}, share: "a"},
		"half is rounded up":              {limit: v1alpha1.LimitRestarts, most: 5, wants: repeat("a", 5), want: map[string]int{"a": 3}, share: "a"},
		"the second has half of the rest": {limit: v1alpha1.LimitGrants, most: 20, wants: append(repeat("a", 20), repeat("b", 20)...), want: map[string]int{"a": 10, "b": 5}, share: "b"},
		"many namespaces fill the limit":  {limit: v1alpha1.LimitGrants, most: 4, wants: []string{"a", "b", "c", "d", "e"}, want: map[string]int{"a": 1, "b": 1, "c": 1, "d": 1}},
		"revocations have no shares":      {limit: v1alpha1.LimitRevocations, most: 4, wants: repeat("", 5), want: map[string]int{"": 4}, why: "no namespace asks for them"},
	} {
		t.Run(name, func(t *testing.T) {
			l, got, last := opened(), map[string]int{}, Hold{}
			for _, namespace := range tc.wants {
				n, hold := l.Reserve(Act{prod, tc.limit, namespace}, tc.most, 1, now)
				if n > 0 {
					got[namespace] += n
				} else {
					last = hold
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("namespaces got (-want +got):\n%s%s", diff, tc.why)
			}
			if last.Namespace != tc.share {
				t.Errorf("the share of %q is used up, want that of %q (%s)", last.Namespace, tc.share, tc.why)
			}
			if text := Sentence("prod", Limits{GrantsPerHour: tc.most}, last.ReachedLimit); strings.Contains(text, "share") != (tc.share != "") {
				t.Errorf("the sentence is %q", text)
			}
		})
	}
}

func repeat(namespace string, n int) (all []string) {
	for range n {
		all = append(all, namespace)
	}
	return all
}

func TestUnseededLedgerDenies(t *testing.T) {
	l := NewLedger()
	n, hold := l.Reserve(grantIn("shop"), 20, 1, now)
	if n != 0 || hold.Limit != "" || !hold.ResetTime.After(now) || l.Seeded() {
		t.Errorf("Reserve = %d, %+v; want none, no limit, and a retry", n, hold)
	}
	l.Seed(nil, nil, now)
	if n, _ := l.Reserve(grantIn("shop"), 20, 1, now); n != 1 || !l.Seeded() {
		t.Error("a seeded ledger denies")
	}
}

// TestReleaseGivesBack: what was certainly not sent counts no more; releasing more than
// was reserved gives nothing.
func TestReleaseGivesBack(t *testing.T) {
	l := opened()
	if got := reserved(l, grantIn("shop"), 2, 2, now); got != 1 {
		t.Fatalf("%d reserved", got)
	}
	l.Release(grantIn("other"), 1, now)
	if got := reserved(l, grantIn("shop"), 2, 1, now); got != 0 {
		t.Error("a release of another namespace gave room")
	}
	l.Release(grantIn("shop"), 3, now)
	if got := reserved(l, grantIn("shop"), 2, 2, now); got != 1 {
		t.Errorf("after the release %d could be reserved, want 1", got)
	}
}

// TestReserveIsAtomic: many workers reserve at once.
func TestReserveIsAtomic(t *testing.T) {
	l, got := opened(), make(chan int, 100)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			n, _ := l.Reserve(grantIn(fmt.Sprint(i)), 20, 1, now)
			got <- n
		})
	}
	all.Wait()
	close(got)
	sum := 0
	for n := range got {
		sum += n
	}
	if sum != 20 {
		t.Errorf("%d of 100 reserved, the limit is 20", sum)
	}
}

func TestStatusPublishesCountsAndReachedLimits(t *testing.T) {
	l := opened()
	var woken []string
	l.Watch(func(policy string) { woken = append(woken, policy) })
	limits := Limits{GrantsPerHour: 2, RestartsPerHour: 60}
	if status, next := l.Status(prod, limits, now); !next.IsZero() || len(status.Reached)+len(status.Grants) > 0 {
		t.Errorf("a new ledger publishes %+v, %v", status, next)
	}
	l.Reserve(grantIn("a"), 2, 1, now)
	l.Reserve(grantIn("b"), 2, 1, now.Add(10*time.Minute))
	if _, hold := l.Reserve(grantIn("c"), 2, 1, now.Add(10*time.Minute)); !hold.News {
		t.Error("the first act that is held back is no news")
	}
	if _, hold := l.Reserve(grantIn("c"), 2, 1, now.Add(11*time.Minute)); hold.News {
		t.Error("the second act that is held back is news")
	}
	if !l.Trip(prod, now.Add(20*time.Minute), now) || l.Trip(prod, now.Add(21*time.Minute), now) {
		t.Error("only the first trip is news")
	}
	l.Reserve(Act{Policy: Key{Policy: "prod"}, Limit: v1alpha1.LimitRevocations}, 1, 1, now)
	status, next := l.Status(prod, limits, now.Add(11*time.Minute))
	reset := metav1.NewTime(now.Truncate(stretch).Add(hour + stretch))
	want := v1alpha1.LimitsStatus{
		Grants: []v1alpha1.IntervalCount{
			{StartTime: metav1.NewTime(now.Truncate(stretch)), Count: 1},
			{StartTime: metav1.NewTime(now.Add(10 * time.Minute).Truncate(stretch)), Count: 1},
		},
		Revocations: []v1alpha1.IntervalCount{{StartTime: metav1.NewTime(now.Truncate(stretch)), Count: 1}},
		Reached: []v1alpha1.ReachedLimit{
			{Limit: v1alpha1.LimitGrants, ResetTime: reset},
			{Limit: v1alpha1.LimitCircuitBreaker, ResetTime: metav1.NewTime(now.Add(21 * time.Minute))},
		},
	}
	if diff := cmp.Diff(want, status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if !next.Equal(now.Add(21 * time.Minute)) {
		t.Errorf("the next limit resets at %v", next)
	}
	if len(woken) < 5 || woken[0] != "prod" {
		t.Errorf("the watcher heard of %v", woken)
	}
	if status, _ := l.Status(prod, Limits{GrantsPerHour: 3}, now.Add(22*time.Minute)); len(status.Reached) != 0 {
		t.Errorf("with more room the limit still holds: %+v", status.Reached)
	}
	if status, next := l.Status(prod, limits, now.Add(3*time.Hour)); !next.IsZero() || len(status.Grants)+len(status.Reached) > 0 {
		t.Errorf("after three hours the ledger publishes %+v", status)
	}
	if other, _ := l.Status(Key{"prod", "uid-2"}, limits, now); len(other.Grants) > 0 || len(other.Revocations) != 1 {
		t.Errorf("a later policy of that name has %+v, want the revocations only", other)
	}
}

// TestEmptyBooksMakeRoom: policies that come and go leave nothing behind.
func TestEmptyBooksMakeRoom(t *testing.T) {
	l := opened()
	for i := range 100 {
		at := now.Add(time.Duration(i) * 2 * time.Hour)
		l.Reserve(Act{Key{Policy: fmt.Sprint(i)}, v1alpha1.LimitGrants, "shop"}, 1, 2, at)
	}
	if n := len(l.books); n != 1 {
		t.Errorf("%d books are kept, want that of the last policy", n)
	}
}
