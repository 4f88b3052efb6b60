// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"maps"
	"slices"
	"sync" //nolint:depguard // The leader counts in one place, and several controllers reserve there at once.
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Key identifies a policy. A policy of the same name with another UID has its own counts.
// Revocations go by the name alone, because the policy may not exist any more.
type Key struct {
	Policy string
	UID    types.UID
}

// KeyOf returns the key of a policy that exists.
func KeyOf(policy *v1alpha1.PullAccessPolicy) Key { return Key{policy.Name, policy.UID} }

// Act is what a limit counts: a grant, a restart or a revocation under a policy.
type Act struct {
	Policy Key
	Limit  v1alpha1.Limit
	// Namespace is the namespace for which the operator acts. Unset: unknown.
	Namespace string
}

// Hold says which limit holds back an act until when. Without a limit, the ledger is not
// seeded yet.
type Hold struct {
	v1alpha1.ReachedLimit
	// News: the limit held nothing back before.
	News bool
}

// unseededRetry is when to ask an unseeded ledger again.
const unseededRetry = time.Second

// Ledger counts what the operator does under each policy. A process has one. It denies
// everything until it is seeded. It is safe for concurrent use.
type Ledger struct {
	mu       sync.Mutex
	seeded   bool
	books    map[Key]*book
	watchers []func(policy string)
}

// book is the part of the ledger that is about one policy.
type book struct {
	// counts are by limit, then by namespace.
	counts  map[v1alpha1.Limit]map[string][]v1alpha1.IntervalCount
	reached map[v1alpha1.Limit]v1alpha1.ReachedLimit
}

// NewLedger returns a ledger without a seed.
func NewLedger() *Ledger { return &Ledger{books: map[Key]*book{}} }

// Watch has f called after each change, with the name of the policy. f must not block.
// Watch is called before the first change.
func (l *Ledger) Watch(f func(policy string)) { l.watchers = append(l.watchers, f) }

// Seeded tells whether the ledger knows what earlier processes did.
func (l *Ledger) Seeded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seeded
}

// Reserve counts n acts, or as many as the limit of most acts per hour has room for, and
// returns their number. If that is less than n, hold says why. The caller reserves before
// it records the intent.
func (l *Ledger) Reserve(act Act, most, n int, now time.Time) (reserved int, hold Hold) {
	l.mu.Lock()
	if !l.seeded {
		l.mu.Unlock()
		hold.ResetTime = metav1.NewTime(now.Add(unseededRetry))
		return 0, hold
	}
	b := l.book(act.key(), now)
	reserved = min(b.room(act, most, now), n)
	b.add(act, reserved, now)
	if reserved < n {
		hold = b.hold(act, most, now)
	}
	l.mu.Unlock()
	l.notify(act.Policy.Policy)
	return reserved, hold
}

// Release takes n acts off the count. The caller releases only what was certainly not
// sent.
func (l *Ledger) Release(act Act, n int, now time.Time) {
	l.mu.Lock()
	l.book(act.key(), now).add(act, -n, now)
	l.mu.Unlock()
	l.notify(act.Policy.Policy)
}

// Trip notes that the circuit breaker of the policy is open until then, and reports
// whether that is news.
func (l *Ledger) Trip(policy Key, until, now time.Time) bool {
	l.mu.Lock()
	news := l.book(policy, now).reach(v1alpha1.ReachedLimit{Limit: v1alpha1.LimitCircuitBreaker, ResetTime: wholeSecond(until)}, now)
	l.mu.Unlock()
	l.notify(policy.Policy)
	return news
}

// Status returns what the status of the policy publishes, and when the next limit resets;
// zero if none is reached.
func (l *Ledger) Status(policy Key, limits Limits, now time.Time) (status v1alpha1.LimitsStatus, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range slices.Compact([]Key{policy, {Policy: policy.Policy}}) {
		b := l.books[key]
		if b == nil {
			continue
		}
		b.reset(limits, now)
		status.Reached = append(status.Reached, slices.Collect(maps.Values(b.reached))...)
		for limit, counts := range map[v1alpha1.Limit]*[]v1alpha1.IntervalCount{
			v1alpha1.LimitGrants: &status.Grants, v1alpha1.LimitRestarts: &status.Restarts, v1alpha1.LimitRevocations: &status.Revocations,
		} {
			*counts = append(*counts, b.sum(limit, now)...)
		}
	}
	// The limit that holds for longest comes first.
	slices.SortFunc(status.Reached, func(a, b v1alpha1.ReachedLimit) int {
		return b.ResetTime.Compare(a.ResetTime.Time)
	})
	if n := len(status.Reached); n > 0 {
		next = status.Reached[n-1].ResetTime.Time
	}
	return status, next
}

func (l *Ledger) notify(policy string) {
	for _, f := range l.watchers {
		f(policy)
	}
}

// book returns the book of the policy. A new one replaces those that are empty by now.
func (l *Ledger) book(key Key, now time.Time) *book {
	if l.books[key] == nil {
		maps.DeleteFunc(l.books, func(_ Key, b *book) bool { return b.isEmpty(now) })
		l.books[key] = newBook()
	}
	return l.books[key]
}

func (a Act) key() Key {
	if a.Limit == v1alpha1.LimitRevocations {
		return Key{Policy: a.Policy.Policy}
	}
	return a.Policy
}

// wholeSecond rounds up to what the API keeps, so that nothing resets early.
func wholeSecond(t time.Time) metav1.Time {
	return metav1.NewTime(t.Add(time.Second - 1).Truncate(time.Second))
}
