// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// NamespaceOf returns the namespace for which a grant counts: the one that requested it
// first.
func NamespaceOf(g *v1alpha1.PullAccessGrant) string { return g.Spec.Workload.Namespace }

// tally has the number of acts in each interval, by the start of the interval.
type tally map[Act]map[time.Time]int32

// Seed replaces the ledger by what earlier processes did, and opens it. For each interval,
// it takes the records of grants or the count in the policy's status, whichever is higher:
// a deleted record refunds nothing, and the last acts may not be in the status yet.
func (l *Ledger) Seed(policies []v1alpha1.PullAccessPolicy, grants []v1alpha1.PullAccessGrant, now time.Time) {
	keys := map[string]Key{}
	for i := range policies {
		keys[policies[i].Name] = KeyOf(&policies[i])
	}
	acts := tally{}
	for i := range grants {
		acts.addGrant(&grants[i], keys, now)
	}
	books := map[Key]*book{}
	bookOf := func(key Key) *book {
		if books[key] == nil {
			books[key] = newBook()
		}
		return books[key]
	}
	for i := range policies {
		status := &policies[i].Status.Limits
		key := keys[policies[i].Name]
		acts.raise(Act{Policy: key, Limit: v1alpha1.LimitGrants}, status.Grants, now)
		acts.raise(Act{Policy: key, Limit: v1alpha1.LimitRestarts}, status.Restarts, now)
		acts.raise(Act{Policy: key, Limit: v1alpha1.LimitRevocations}, status.Revocations, now)
		for _, reached := range status.Reached {
			bookOf(Act{Policy: key, Limit: reached.Limit}.key()).reached[reached.Limit] = reached
		}
	}
	for act, byStart := range acts {
		b := bookOf(act.key())
		b.add(act, 0, now)
		b.counts[act.Limit][act.Namespace] = intervals(byStart)
	}
	l.mu.Lock()
	l.books, l.seeded = books, true
	l.mu.Unlock()
	for name := range keys {
		l.notify(name)
	}
}

// addGrant counts what the record of a grant tells about the hour before now.
func (t tally) addGrant(g *v1alpha1.PullAccessGrant, keys map[string]Key, now time.Time) {
	policy := keyOf(cmp.Or(g.Status.Policy, g.Spec.Policy), keys)
	grant := Act{policy, v1alpha1.LimitGrants, NamespaceOf(g)}
	revocation := Act{Policy: policy, Limit: v1alpha1.LimitRevocations}
	for _, entry := range g.Status.History {
		switch {
		case entry.Event == v1alpha1.HistoryGranted:
			t.add(grant, entry.Time.Time, now)
		case entry.Event == v1alpha1.HistoryEvent(v1alpha1.EndPolicyGone) && g.Status.Lifetime.AccountsUsedBy != v1alpha1.UsedBySeveralClusters:
			t.add(revocation, entry.Time.Time, now)
		}
	}
	if write := g.Status.Write; write != nil && write.EtagAfter == "" {
		granted := meta.IsStatusConditionTrue(g.Status.Conditions, v1alpha1.ConditionGranted)
		switch ending := g.Status.Ending; {
		case !granted:
			t.add(grant, write.IntentTime.Time, now)
		case ending != nil && ending.Reason == v1alpha1.EndPolicyGone:
			t.add(revocation, write.IntentTime.Time, now)
		}
	}
	for i := range g.Status.Workloads {
		if w := &g.Status.Workloads[i]; w.RestartTime != nil {
			t.add(Act{keyOf(w.Policy, keys), v1alpha1.LimitRestarts, w.Namespace}, w.RestartTime.Time, now)
		}
	}
}

// keyOf returns the key of the policy of that name, also if it does not exist any more.
func keyOf(name string, keys map[string]Key) Key {
	if key, exists := keys[name]; exists {
		return key
	}
	return Key{Policy: name}
}

func (t tally) add(act Act, at, now time.Time) {
	start := at.UTC().Truncate(stretch)
	if !now.Before(start.Add(hour + stretch)) {
		return
	}
	if act.Policy = act.key(); t[act] == nil {
		t[act] = map[time.Time]int32{}
	}
	t[act][start]++
}

// raise adds what the status counts beyond the records, for an unknown namespace.
func (t tally) raise(act Act, counts []v1alpha1.IntervalCount, now time.Time) {
	act.Policy = act.key()
	recorded := map[time.Time]int32{}
	for other, byStart := range t {
		if other.Policy != act.Policy || other.Limit != act.Limit {
			continue
		}
		for start, n := range byStart {
			recorded[start] += n
		}
	}
	for _, c := range current(counts, now) {
		start := c.StartTime.UTC()
		if more := c.Count - recorded[start]; more > 0 {
			if t[act] == nil {
				t[act] = map[time.Time]int32{}
			}
			t[act][start] += more
		}
	}
}
