// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

func TestPlan(t *testing.T) {
	spec := restartSpec{strategy: v1alpha1.RestartRollout, delay: time.Minute, maxAttempts: 2}
	cooled := spec
	cooled.cooldown = 10 * time.Minute
	old := -time.Minute
	tests := map[string]struct {
		workload  v1alpha1.WorkloadStatus
		view      view
		effective *metav1.Time
		// ineffective: all restarts of others were of no use.
		ineffective bool
		at          time.Duration
		want        v1alpha1.WorkloadState
		attempts    int32
		wake        time.Duration
		why         string
	}{
		"too early": {view: view{stuck: stuckAt(old), covered: true, spec: spec}, at: 20 * time.Second, want: v1alpha1.WorkloadWaiting, wake: 40 * time.Second},
		"delay over": {
			view: view{stuck: stuckAt(old), covered: true, spec: spec}, at: time.Minute,
			want: v1alpha1.WorkloadRestarting, attempts: 1, wake: 5 * time.Minute,
		},
		"its pods are of this very second": {
			view: view{stuck: stuckAt(time.Minute), covered: true, spec: spec}, at: time.Minute + time.Second/2,
			want: v1alpha1.WorkloadWaiting, wake: time.Second / 2, why: "their replacements could not be told from them",
		},
		"a pull worked before the delay": {
			view: view{stuck: stuckAt(old), covered: true, spec: spec}, effective: after(10 * time.Second), at: 10 * time.Second,
			want: v1alpha1.WorkloadRestarting, attempts: 1, wake: 5 * time.Minute,
		},
		"recovered by itself": {view: view{started: true, spec: spec}, at: time.Hour, want: v1alpha1.WorkloadRecovered, why: "what runs is left alone"},
		"some pods run":       {view: view{started: true, stuck: stuckAt(old), covered: true, spec: spec}, at: 0, want: v1alpha1.WorkloadWaiting, wake: time.Minute},
		"neither stuck nor started": {
			view: view{spec: spec}, at: time.Minute, want: v1alpha1.WorkloadWaiting, wake: lookAgain, why: "no proof, no recovery",
		},
		"neither, for some time": {
			view: view{spec: spec}, at: 20 * time.Minute, want: v1alpha1.WorkloadWaiting, wake: 5 * time.Minute, why: "it is looked at ever less often",
		},
		"neither, for too long": {view: view{spec: spec}, at: lookFor + time.Second, want: v1alpha1.WorkloadGone},
		"too large, at first":   {view: view{large: true, started: true}, at: time.Minute, want: v1alpha1.WorkloadWaiting, wake: lookAgain, why: "a pod of it still cannot pull"},
		"too large, for long":   {view: view{large: true, started: true}, at: 2 * time.Hour, want: v1alpha1.WorkloadLeftToKubelet, why: "looking on for ever costs reads and tells nothing"},
		"a passing failure":     {view: view{unclear: true}, at: time.Hour, want: v1alpha1.WorkloadWaiting, wake: lookAgain, why: "the next try tells"},
		"failing since after it worked": {
			workload:  v1alpha1.WorkloadStatus{State: v1alpha1.WorkloadWaiting, FailingSince: after(10 * time.Minute)},
			view:      view{stuck: stuckAt(10 * time.Minute), covered: true, spec: spec},
			effective: after(time.Minute), at: 10*time.Minute + 20*time.Second,
			want: v1alpha1.WorkloadWaiting, wake: 40 * time.Second, why: "the kubelet's next try most likely works",
		},
		"restarted, same pods": {
			workload: v1alpha1.WorkloadStatus{State: v1alpha1.WorkloadRestarting, Attempts: 1, RestartTime: after(time.Minute)},
			view:     view{stuck: stuckAt(old), covered: true, spec: spec}, at: time.Hour,
			want: v1alpha1.WorkloadRestarting, attempts: 1, wake: 59 * time.Minute / 4, why: "the new pods are still to come: one restart, not two",
		},
		"restarted, new pods stuck, too early": {
			workload: v1alpha1.WorkloadStatus{State: v1alpha1.WorkloadRestarting, Attempts: 1, RestartTime: after(time.Minute)},
			view:     view{stuck: stuckAt(90 * time.Second), covered: true, spec: spec}, at: 2 * time.Minute,
			want: v1alpha1.WorkloadRestarting, attempts: 1, wake: 4 * time.Minute,
		},
		"second restart": {
			workload: v1alpha1.WorkloadStatus{State: v1alpha1.WorkloadRestarting, Attempts: 1, RestartTime: after(time.Minute)},
			view:     view{stuck: stuckAt(90 * time.Second), covered: true, spec: spec}, at: 6 * time.Minute,
			want: v1alpha1.WorkloadRestarting, attempts: 2, wake: 10 * time.Minute,
		},
		"no more restarts": {
			workload: v1alpha1.WorkloadStatus{State: v1alpha1.WorkloadRestarting, Attempts: 2, RestartTime: after(6 * time.Minute)},
			view:     view{stuck: stuckAt(7 * time.Minute), covered: true, spec: spec}, at: 16 * time.Minute,
			want: v1alpha1.WorkloadStuck, attempts: 2,
		},
		"given up, then recovered": {
			workload: v1alpha1.WorkloadStatus{State: v1alpha1.WorkloadStuck, Attempts: 2, RestartTime: after(6 * time.Minute)},
			view:     view{started: true}, at: time.Hour, want: v1alpha1.WorkloadRecovered, attempts: 2,
		},
		"given up stays so": {
			workload: v1alpha1.WorkloadStatus{State: v1alpha1.WorkloadStuck, Attempts: 2, RestartTime: after(6 * time.Minute)},
			view:     view{stuck: stuckAt(7 * time.Minute), covered: true, spec: spec}, at: 2 * time.Hour, want: v1alpha1.WorkloadStuck, attempts: 2,
		},
		"policy gone": {view: view{stuck: stuckAt(old), spec: spec}, at: time.Hour, want: v1alpha1.WorkloadLeftToKubelet, why: "uncovered is not touched"},
		"zero view":   {view: view{}, at: 0, want: v1alpha1.WorkloadWaiting, wake: lookAgain},
		"paused":      {view: view{stuck: stuckAt(old), covered: true, leave: "Paused.", spec: spec}, at: time.Hour, want: v1alpha1.WorkloadLeftToKubelet},
		"restarted for another grant a moment ago": {
			view: view{stuck: stuckAt(old), covered: true, spec: cooled, lastAct: granted.Add(time.Minute)}, at: 2 * time.Minute,
			want: v1alpha1.WorkloadWaiting, wake: 9 * time.Minute, why: "it is left alone for as long as the policy says",
		},
		"restarted for another grant, and cooled down": {
			view: view{stuck: stuckAt(old), covered: true, spec: cooled, lastAct: granted.Add(time.Minute)}, at: 11 * time.Minute,
			want: v1alpha1.WorkloadRestarting, attempts: 1, wake: 5 * time.Minute,
		},
		"without effect on others": {
			view: view{stuck: stuckAt(old), covered: true, spec: spec}, ineffective: true, at: time.Hour,
			want: v1alpha1.WorkloadLeftToKubelet, why: "what helped nobody is not tried on one more",
		},
		"without effect, and begun": {
			workload: v1alpha1.WorkloadStatus{State: v1alpha1.WorkloadRestarting, Attempts: 1, RestartTime: after(time.Minute)},
			view:     view{stuck: stuckAt(90 * time.Second), covered: true, spec: spec}, ineffective: true, at: 6 * time.Minute,
			want: v1alpha1.WorkloadRestarting, attempts: 2, wake: 10 * time.Minute, why: "its own attempts go on",
		},
		"gone":            {view: view{gone: true}, want: v1alpha1.WorkloadGone},
		"scaled to zero":  {view: view{idle: true}, want: v1alpha1.WorkloadGone},
		"another failure": {view: view{other: pullfailure.ImageNotFound}, want: v1alpha1.WorkloadLeftToKubelet, why: "no restart makes a tag"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.workload.State == "" {
				tc.workload.State = v1alpha1.WorkloadWaiting
			}
			grant := grantedAt(tc.effective)
			if tc.ineffective {
				grantstatus.MarkIneffective(grant, granted)
			}
			got, wake := plan(tc.workload, tc.view, grant, granted.Add(tc.at))
			if got.State != tc.want || got.Attempts != tc.attempts || wake != tc.wake {
				t.Errorf("plan = %s, attempt %d, wake in %s; want %s, %d, %s (%s)", got.State, got.Attempts, wake, tc.want, tc.attempts, tc.wake, tc.why)
			}
			if got.Attempts > tc.workload.Attempts && !got.RestartTime.Equal(after(tc.at)) {
				t.Errorf("restart recorded at %v, want %v", got.RestartTime, after(tc.at))
			}
		})
	}
}

// TestPlanRestartsOnce steps through an hour in which the pods of the restart
// never come: however often it is asked, it stays at one restart.
func TestPlanRestartsOnce(t *testing.T) {
	v := view{stuck: stuckAt(-time.Minute), covered: true, spec: restartSpec{strategy: v1alpha1.RestartRollout, maxAttempts: 10}}
	w := v1alpha1.WorkloadStatus{State: v1alpha1.WorkloadWaiting}
	grant := grantedAt(nil)
	for s := range 3600 {
		w, _ = plan(w, v, grant, granted.Add(time.Duration(s)*time.Second))
	}
	if w.Attempts != 1 || !w.RestartTime.Equal(after(0)) {
		t.Errorf("%d restarts, the last at %v; want one at the grant", w.Attempts, w.RestartTime)
	}
}

// TestPlanRestartsBounded steps through a day in which every restart's pods fail.
func TestPlanRestartsBounded(t *testing.T) {
	spec := restartSpec{strategy: v1alpha1.RestartRollout, maxAttempts: 3}
	w := v1alpha1.WorkloadStatus{State: v1alpha1.WorkloadWaiting}
	grant := grantedAt(nil)
	var restarts []time.Duration
	for s := range 24 * 3600 {
		at := time.Duration(s) * time.Second
		next, _ := plan(w, view{stuck: stuckAt(at - time.Second), covered: true, spec: spec}, grant, granted.Add(at))
		if next.Attempts > w.Attempts {
			restarts = append(restarts, at)
		}
		w = next
	}
	want := []time.Duration{0, 5 * time.Minute, 15 * time.Minute}
	if len(restarts) != len(want) || restarts[0] != want[0] || restarts[1] != want[1] || restarts[2] != want[2] {
		t.Errorf("restarts at %v, want %v", restarts, want)
	}
	if w.State != v1alpha1.WorkloadStuck {
		t.Errorf("ends %s, want Stuck", w.State)
	}
}
