// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/limit"
)

// TestLimitHoldsRestarts: as many begin as the policy allows to one namespace, in the order
// in which they came; the others begin when the limit resets, and nothing is counted twice.
func TestLimitHoldsRestarts(t *testing.T) {
	policy := limited("prod", 5)
	policy.Status.Limits.Restarts = limit.Add(nil, 1, granted.Add(-30*time.Minute))
	e := newEnv(t, policy)
	grant, views := allDue(5)
	begun := func() (n int) {
		for i, w := range grant.Status.Workloads {
			if w.State == v1alpha1.WorkloadRestarting {
				if n++; n != i+1 {
					t.Errorf("workload %d was restarted before its turn", i)
				}
			} else if w.Attempts != 0 || w.RestartTime != nil {
				t.Errorf("workload %d waits, and is on record as %+v", i, w)
			}
		}
		return n
	}
	for range 2 {
		j, err := e.r.judge(t.Context(), grant, views)
		if err != nil {
			t.Fatal(err)
		}
		if n := begun(); n != 2 || j.wake > 35*time.Minute || j.wake <= 0 {
			t.Fatalf("%d restarts begun, the next look in %v; want 2, and a look when the limit resets", n, j.wake)
		}
	}
	reached := e.Limits(e.r.Ledger).Reached
	if len(reached) != 1 || reached[0].Limit != v1alpha1.LimitRestarts || reached[0].Namespace != controllertest.Namespace || e.Counted(e.r.Ledger, v1alpha1.LimitRestarts) != 3 {
		t.Errorf("%d restarts are counted, reached are %+v", e.Counted(e.r.Ledger, v1alpha1.LimitRestarts), reached)
	}
	if text := grant.Status.Workloads[4].Message; !strings.Contains(text, "Namespace shop has used its share of the 5 restarts") {
		t.Errorf("the workload that waits says %q", text)
	}
	e.Clock.SetTime(reached[0].ResetTime.Time)
	for i := range 2 {
		delete(views, i) // They have recovered.
	}
	if _, err := e.r.judge(t.Context(), grant, views); err != nil {
		t.Fatal(err)
	}
	if n := begun(); n != 3 {
		t.Errorf("%d restarts begun when the limit reset, want one more", n)
	}
	if n := len(grant.Status.History); n != 3 {
		t.Errorf("the history tells %d restarts", n)
	}
}

// TestReleaseOnlyWhatIsCertain: restarts that are certainly not on record count no more;
// others stay counted.
func TestReleaseOnlyWhatIsCertain(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "pullaccessgrants"}, "g", nil)
	for name, tc := range map[string]struct {
		why  error
		want int
	}{
		"conflict":  {fmt.Errorf("record: %w", conflict), 0},
		"no answer": {context.DeadlineExceeded, 8},
		"timed out": {apierrors.NewTimeoutError("slow", 1), 8},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, limited("prod", 15))
			grant, views := allDue(18)
			j, err := e.r.judge(t.Context(), grant, views)
			e.r.release(j.counted, tc.why)
			if n := e.Counted(e.r.Ledger, v1alpha1.LimitRestarts); n != tc.want || err != nil || len(j.counted) != 8 {
				t.Errorf("%d of %d restarts stay counted, %v; want %d of 8", n, len(j.counted), err, tc.want)
			}
		})
	}
}

// TestRestartsArePaced: a lost permission may have stopped hundreds of workloads, and all
// of them are due in the same moment.
func TestRestartsArePaced(t *testing.T) {
	e := newEnv(t, limited("prod", 1000))
	grant, views := allDue(45)
	begun := func() (n int) {
		for _, w := range grant.Status.Workloads {
			n += int(w.Attempts)
		}
		return n
	}
	for i, want := range []int{restartsAtOnce, restartsAtOnce + restartsPerSecond, restartsAtOnce + 2*restartsPerSecond, 45} {
		e.Clock.SetTime(granted.Add(time.Duration(i) * time.Second))
		j, err := e.r.judge(t.Context(), grant, views)
		if err != nil {
			t.Fatal(err)
		}
		if got := begun(); got != want || want < 45 && j.wake != time.Second {
			t.Errorf("after %d seconds %d restarts are begun, the next look in %v; want %d, and a look in a second", i, got, j.wake, want)
		}
	}
}

// TestALimitSlowsNobodyElse: restarts that one policy's limit puts off use up no turn of
// those under another, and are not looked at until it opens.
func TestALimitSlowsNobodyElse(t *testing.T) {
	full := limited("limited", 1)
	full.Status.Limits.Restarts = limit.Add(nil, 1, granted)
	e := newEnv(t, full, limited("open", 0))
	grant, views := allDue(3 * restartsAtOnce)
	for i := range grant.Status.Workloads {
		grant.Status.Workloads[i].Policy = "limited"
	}
	grant.Status.Workloads[3*restartsAtOnce-1].Policy = "open"
	j, err := e.r.judge(t.Context(), grant, views)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range grant.Status.Workloads {
		if begun := w.Attempts == 1; begun != (w.Policy == "open") {
			t.Errorf("workload %d under policy %s is begun: %v", i, w.Policy, begun)
		}
		if wait := j.waits[i]; w.Policy == "limited" && wait < 50*time.Minute {
			t.Errorf("workload %d waits for %v, want it to wait until the limit opens", i, wait)
		}
	}
}

// TestUnseededLedgerDelaysRestarts: a process that does not know yet what earlier ones did
// restarts nothing, and says nothing.
func TestUnseededLedgerDelaysRestarts(t *testing.T) {
	e := newEnv(t, limited("prod", 4))
	e.r.Ledger = limit.NewLedger()
	grant, views := allDue(2)
	j, err := e.r.judge(t.Context(), grant, views)
	if err != nil || j.wake != time.Second || len(j.counted) > 0 {
		t.Errorf("judge: %v, the next look in %v, %d counted", err, j.wake, len(j.counted))
	}
	for i, w := range grant.Status.Workloads {
		if w.Attempts != 0 || w.Message != "" {
			t.Errorf("workload %d is on record as %+v", i, w)
		}
	}
}
