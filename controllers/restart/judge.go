// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// judgement is what comes of a pass. Workloads go by their place on the record.
type judgement struct {
	// planned is what the record of each becomes, due names those that it has restarted.
	planned map[int]v1alpha1.WorkloadStatus
	due     []int
	// wake is when to come back for any of them; 0 is only when something happens.
	wake time.Duration
	// waits is when to come back for each. A workload that other restarts hold back is
	// not in it: what was seen of it is not remembered, so that it is seen again.
	waits map[int]time.Duration
	// counted are the restarts that were counted, also beside an error.
	counted []limit.Act
}

// sooner has the pass come back by then at the latest.
func (j *judgement) sooner(after time.Duration) {
	if after > 0 && (j.wake == 0 || after < j.wake) {
		j.wake = after
	}
}

// judge brings the record up to date with what was seen.
func (r *Reconciler) judge(ctx context.Context, grant *v1alpha1.PullAccessGrant, views map[int]view) (judgement, error) {
	now := r.Clock.Now()
	j := judgement{planned: map[int]v1alpha1.WorkloadStatus{}, waits: map[int]time.Duration{}}
	for _, v := range views {
		if !grantstatus.Effective(grant) && (v.pulled || v.started && len(v.stuck) == 0) {
			grantstatus.MarkEffective(grant, now)
			j.sooner(time.Second) // Those that were passed over are due by it.
		}
	}
	for _, i := range slices.Sorted(maps.Keys(views)) { // Who came first goes first.
		was := grant.Status.Workloads[i]
		w, after := plan(was, views[i], grant, now)
		if w.Attempts > was.Attempts {
			j.due = append(j.due, i)
		}
		j.planned[i], j.waits[i] = w, after
		j.sooner(after)
	}
	if err := r.holdBack(ctx, grant, &j); err != nil {
		return j, err
	}
	for i, w := range j.planned {
		r.keep(grant, i, w)
	}
	grantstatus.Summarise(grant)
	return j, nil
}

// othersFirst tells how long a restart that is due waits for others: for another grant
// that has the workload restarted just now, or for its share of the pace. One that need
// not wait has used up that share, also where it does not get on record after all.
func (r *Reconciler) othersFirst(w v1alpha1.Workload, grant string) time.Duration {
	now := r.Clock.Now()
	switch {
	case !r.claims.take(w, grant):
		return lookAgain
	case !r.pace.AllowN(now, 1):
		return time.Second
	}
	return 0
}

// remember keeps what was seen of those that are stuck: a pod that has started shows
// only in a live read, so that the others are looked at each time.
func (r *Reconciler) remember(grant *v1alpha1.PullAccessGrant, views map[int]view, judged judgement, era int64) {
	for i, after := range judged.waits {
		w, due := grant.Status.Workloads[i], time.Time{}
		if len(views[i].stuck) == 0 || views[i].failing == "" {
			continue
		}
		if after > 0 {
			due = r.Clock.Now().Add(after)
		}
		r.looks.keep(lookKey(grant.Name, w.Workload), look{fingerprint(&grant.Status, w, views[i].failing), due}, era)
	}
}

// keep puts on record what was planned for one workload.
func (r *Reconciler) keep(grant *v1alpha1.PullAccessGrant, i int, w v1alpha1.WorkloadStatus) {
	if w.State == v1alpha1.WorkloadRecovered {
		grant.Status.RecoveredWorkloads++
	}
	if w.State == v1alpha1.WorkloadStuck {
		grantstatus.MarkIneffective(grant, r.Clock.Now())
	}
	if w.Attempts > grant.Status.Workloads[i].Attempts {
		grantstatus.Note(grant, v1alpha1.HistoryRestarted, message.Restart(w.Workload, w.Attempts), r.Clock.Now())
	}
	grant.Status.Workloads[i] = w
}
