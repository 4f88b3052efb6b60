// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// TestRestartsOnceAfterTheDelay: not a second before the policy's delay is over, and never
// twice, however many passes follow.
func TestRestartsOnceAfterTheDelay(t *testing.T) {
	for name, tc := range map[string]struct {
		kind string
		edit func(client.Object)
		// left are the pods that are there after the restart.
		left []string
		why  string
	}{
		"Deployment":  {kind: workload.Deployment, left: []string{"web-1"}, why: "its controller replaces the pod"},
		"DaemonSet":   {kind: workload.DaemonSet, left: []string{"web-1"}, why: "its controller replaces the pod"},
		"StatefulSet": {kind: workload.StatefulSet, why: "a pod that is stuck holds up its own replacement"},
		"StatefulSet, parallel": {kind: workload.StatefulSet, left: []string{"web-1"}, why: "its controller replaces the pod", edit: func(o client.Object) {
			if set, ok := o.(*appsv1.StatefulSet); ok {
				set.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			objects, owner := workloadOf(tc.kind, "web")
			if tc.edit != nil {
				tc.edit(objects[0])
			}
			pod := stuckPod("node-1", "web-1", -10*time.Minute)
			pod.OwnerReferences = []metav1.OwnerReference{owner}
			grant := carriedOut(firstMember, controllertest.Waiting(tc.kind, "web"))
			c := newCluster(t, append(objects, pod, grant, controllertest.Policy())...)

			const delay = v1alpha1.DefaultRestartDelay
			for _, early := range []time.Duration{0, delay - time.Second} {
				if result := c.passAt(early); result.RequeueAfter != delay-early || c.web(firstMember).State != v1alpha1.WorkloadWaiting {
					t.Errorf("%v after the grant: %+v and %+v, want a wait for %v", early, result, c.web(firstMember), delay-early)
				}
			}
			if writes := c.Writes(); len(writes) > 0 {
				t.Errorf("written was %v before the delay was over", writes)
			}
			for i := range 10 {
				c.passAt(delay + time.Duration(i)*20*time.Second)
			}
			w := c.web(firstMember)
			if w.State != v1alpha1.WorkloadRestarting || w.Attempts != 1 || !w.RestartTime.Equal(after(delay)) {
				t.Errorf("on record is %+v, want one restart after the delay", w)
			}
			if n := c.rollouts(); n != 1 {
				t.Errorf("%d rollouts, want one", n)
			}
			if got := c.pods(); !slices.Equal(got, tc.left) {
				t.Errorf("left are the pods %q, want %q: %s", got, tc.left, tc.why)
			}
			c.wantEvents("Restarted", tc.kind+"/web", "PullAccessGrant/"+grant.Name)
			checkRestartIsOnRecord(t, c, granted.Add(delay))
		})
	}
}

// checkRestartIsOnRecord checks that the history and the policy's counts have one restart.
func checkRestartIsOnRecord(t *testing.T, c *cluster, at time.Time) {
	t.Helper()
	var restarts []time.Time
	for _, entry := range c.grant(firstMember).Status.History {
		if entry.Event == v1alpha1.HistoryRestarted {
			restarts = append(restarts, entry.Time.UTC())
		}
	}
	if !slices.Equal(restarts, []time.Time{at}) {
		t.Errorf("the history has restarts at %v, want one at %v", restarts, at)
	}
	if n := c.Counted(c.r.Ledger, v1alpha1.LimitRestarts); n != 1 {
		t.Errorf("%d restarts are counted, want one", n)
	}
}

// TestRestartTimeIsOnTheTemplate: the template bears the time on record, as kubectl writes it.
func TestRestartTimeIsOnTheTemplate(t *testing.T) {
	c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), controllertest.Policy())...)
	c.passAt(time.Minute + time.Second/2)
	if got, want := c.restartedAt(), after(time.Minute).Format(time.RFC3339); got != want {
		t.Errorf("the template says %q, want %q", got, want)
	}
}

// TestAPullThatWorksBringsTheRestartForward: once a pull of another workload was seen to
// work, there is nothing to wait for.
func TestAPullThatWorksBringsTheRestartForward(t *testing.T) {
	const early = 20 * time.Second
	api, apiOwner := workloadOf(workload.StatefulSet, "api")
	for name, tc := range map[string]struct {
		other    *corev1.Pod
		restarts int
		why      string
	}{
		"pulled": {other: runningPod("node-1", "api-0", -time.Hour, early), restarts: 1},
		"on a node of another account": {
			other: runningPod("node-2", "api-0", -time.Hour, early), why: "the pull says nothing of this grant",
		},
		"started before the grant": {
			other: runningPod("node-1", "api-0", -time.Hour, -30*time.Minute), why: "it needed no grant",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.other.Labels, tc.other.OwnerReferences = map[string]string{"app": "api"}, []metav1.OwnerReference{apiOwner}
			set, _ := api[0].DeepCopyObject().(*appsv1.StatefulSet)
			set.Spec.Selector = &metav1.LabelSelector{MatchLabels: tc.other.Labels}
			grant := carriedOut(firstMember, controllertest.Waiting(workload.Deployment, "web"), controllertest.Waiting(workload.StatefulSet, "api"))
			c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), set, tc.other, grant, controllertest.Policy())...)
			c.passAt(early)
			if n := c.rollouts(); n != tc.restarts {
				t.Errorf("%d restarts before the delay, want %d: %s", n, tc.restarts, tc.why)
			}
			want := "Unknown WaitingForPropagation"
			if tc.restarts > 0 {
				want = "True PullWorked"
			}
			if got := conditionOf(c.grant(firstMember), v1alpha1.ConditionEffective); got != want {
				t.Errorf("Effective is %q, want %q: %s", got, want, tc.why)
			}
		})
	}
}

// TestOwnPodThatMayHaveTheImageProvesNothing: a pod that was made after the grant may have
// found its image on the node, so it does not bring forward the restart of its siblings.
func TestOwnPodThatMayHaveTheImageProvesNothing(t *testing.T) {
	young := runningPod("node-1", "web-2", 5*time.Second, 10*time.Second)
	c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour), young), waitingWeb(), controllertest.Policy())...)
	if result := c.passAt(20 * time.Second); result.RequeueAfter != 40*time.Second || c.rollouts() != 0 {
		t.Errorf("%+v after %d restarts, want to wait for the delay", result, c.rollouts())
	}
}

// TestDeleteStuckPodsTakesNothingElse deletes the stuck pods of the workload, and no other.
func TestDeleteStuckPodsTakesNothingElse(t *testing.T) {
	foreign := stuckPod("node-1", "foreign", -time.Hour)
	other := stuckPod("node-1", "other-image", -time.Hour)
	other.Spec.Containers[0].Image = "us-central1-docker.pkg.dev/acme-prod/tools/web:1"
	pods := webWith(
		stuckPod("node-1", "web-1", -time.Hour), stuckPod("node-1", "web-2", -time.Minute),
		runningPod("node-1", "web-3", -time.Hour, -time.Hour), other,
		stuckPod("node-2", "web-4", -time.Hour), stuckPod("node-1", "web-5", 2*time.Minute),
	)
	policy := controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Restart.Strategy = v1alpha1.RestartDeletePods })
	c := newCluster(t, append(pods, foreign, waitingWeb(), policy)...)
	c.passAt(time.Minute)
	c.passAt(2 * time.Minute)
	if n := c.rollouts(); n != 0 {
		t.Errorf("the Deployment was patched %d times", n)
	}
	if got := c.pods(); len(got) != 7 {
		t.Errorf("left are %q before the youngest pod is a second old, want all", got)
	}
	c.passAt(2*time.Minute + time.Second)
	if want := []string{"foreign", "other-image", "web-3", "web-4"}; !slices.Equal(c.pods(), want) {
		t.Errorf("left are %q, want %q", c.pods(), want)
	}
	if w := c.web(firstMember); w.Attempts != 1 || c.rollouts() != 0 {
		t.Errorf("%d rollouts, and on record is %+v", c.rollouts(), w)
	}
}

// TestReplacementsAreNotDeleted: a pod that was made since the restart, and cannot pull
// either, stays until the next attempt.
func TestReplacementsAreNotDeleted(t *testing.T) {
	policy := controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Restart.Strategy = v1alpha1.RestartDeletePods })
	c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), policy)...)
	c.passAt(time.Minute)
	c.replace(ofWeb(stuckPod("node-1", "web-2", time.Minute+time.Second)))
	for at := 2 * time.Minute; at < time.Minute+firstDistance; at += time.Minute {
		c.passAt(at)
	}
	if got := c.pods(); !slices.Equal(got, []string{"web-2"}) {
		t.Errorf("left are %q before the next attempt, want the replacement", got)
	}
	c.passAt(time.Minute + firstDistance)
	if w := c.web(firstMember); w.Attempts != 2 || len(c.pods()) != 0 {
		t.Errorf("left are %q after the next attempt, and on record is %+v", c.pods(), w)
	}
}

// TestARunningPodThatCannotPullAgainIsRestarted: its container once ran, so that it is not
// among the pending pods, and is denied the image when the container starts anew.
func TestARunningPodThatCannotPullAgainIsRestarted(t *testing.T) {
	pod := stuckPod("node-1", "web-1", -time.Hour)
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses[0].RestartCount = 1
	c := newCluster(t, append(webWith(pod), waitingWeb(), controllertest.Policy())...)
	c.passAt(30 * time.Second)
	if w := c.web(firstMember); w.State != v1alpha1.WorkloadWaiting || c.rollouts() != 0 {
		t.Errorf("%d restarts before the delay, and on record is %+v", c.rollouts(), w)
	}
	c.passAt(time.Minute)
	if w := c.web(firstMember); w.Attempts != 1 || c.rollouts() != 1 {
		t.Errorf("%d restarts after the delay, and on record is %+v", c.rollouts(), w)
	}
}

// TestRecovers: pods that start end the wait, are told once, and are counted.
func TestRecovers(t *testing.T) {
	for name, restarts := range map[string]int{"by itself": 0, "after the restart": 1} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), controllertest.Policy())...)
			at := 30 * time.Second
			if c.passAt(at); restarts > 0 {
				c.passAt(time.Minute)
				at = 2 * time.Minute
			}
			c.replace(ofWeb(runningPod("node-1", "web-2", at-20*time.Second, at-10*time.Second)))
			for i := range 5 {
				c.passAt(at + time.Duration(i)*10*time.Minute)
			}
			g := c.grant(firstMember)
			w := g.Status.Workloads[0]
			if w.State != v1alpha1.WorkloadRecovered || !w.RecoveredTime.Equal(after(at)) || int(w.Attempts) != restarts {
				t.Errorf("on record is %+v, want a recovery after %d restarts", w, restarts)
			}
			if g.Status.RecoveredWorkloads != 1 || !g.Status.EffectiveTime.Equal(after(at)) || c.rollouts() != restarts {
				t.Errorf("%d recovered, effective since %v, after %d restarts", g.Status.RecoveredWorkloads, g.Status.EffectiveTime, c.rollouts())
			}
			if got := conditionOf(g, v1alpha1.ConditionReady); got != "True Recovered" {
				t.Errorf("Ready is %q", got)
			}
			last := g.Status.History[len(g.Status.History)-1]
			if last.Event != v1alpha1.HistoryPullWorked || !last.Time.Equal(after(at)) {
				t.Errorf("the history ends with %+v, want the pull that worked", last)
			}
			c.wantEvents(v1alpha1.ReasonRecovered, "Deployment/web", "PullAccessGrant/"+g.Name)
		})
	}
}

// TestAttemptsGoOnCountingAfterARecovery: a workload that recovers and fails again is not
// restarted at once, and not more often than the policy says.
func TestAttemptsGoOnCountingAfterARecovery(t *testing.T) {
	c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), controllertest.Policy())...)
	c.passAt(time.Minute)
	c.replace(ofWeb(runningPod("node-1", "web-2", time.Minute, 2*time.Minute)))
	c.passAt(2 * time.Minute)
	c.replace(ofWeb(stuckPod("node-1", "web-3", 3*time.Minute)))
	c.Clock.SetTime(granted.Add(3 * time.Minute))
	c.joins(workload.Deployment, "web")
	if result := c.passAt(3 * time.Minute); result.RequeueAfter != 3*time.Minute || c.rollouts() != 1 {
		t.Errorf("%+v after %d restarts, want a wait of %v after the first", result, c.rollouts(), firstDistance)
	}
	c.passAt(6 * time.Minute)
	if w := c.web(firstMember); w.Attempts != 2 || c.rollouts() != 2 {
		t.Errorf("%d restarts, and on record is %+v", c.rollouts(), w)
	}
}

// TestAttemptsGrowApartAndEnd: a grant without effect leads to as many restarts as the policy
// allows, each after a longer wait, and then to none of any workload.
func TestAttemptsGrowApartAndEnd(t *testing.T) {
	c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), controllertest.Policy())...)
	var restarts []time.Duration
	var stuck time.Duration
	for at := time.Duration(0); at <= time.Hour; at += 30 * time.Second {
		c.passAt(at)
		if n := c.rollouts(); n > len(restarts) {
			restarts = append(restarts, at)
			c.replace(ofWeb(stuckPod("node-1", "web-1", at+time.Second)))
		}
		if stuck == 0 && c.web(firstMember).State == v1alpha1.WorkloadStuck {
			stuck = at
		}
	}
	if want := []time.Duration{time.Minute, 6 * time.Minute, 16 * time.Minute}; !slices.Equal(restarts, want) {
		t.Errorf("restarts at %v, want them at %v", restarts, want)
	}
	if want := 36 * time.Minute; stuck != want {
		t.Errorf("given up at %v, want %v", stuck, want)
	}
	g := c.grant(firstMember)
	if got := conditionOf(g, v1alpha1.ConditionEffective); got != "False Ineffective" || g.Status.Workloads[0].Attempts != 3 {
		t.Errorf("Effective is %q after %d attempts", got, g.Status.Workloads[0].Attempts)
	}
	c.wantEvents(v1alpha1.ReasonIneffective, "Deployment/web")

	objects, owner := workloadOf(workload.DaemonSet, "late")
	pod := stuckPod("node-1", "late-1", 50*time.Minute)
	pod.OwnerReferences = []metav1.OwnerReference{owner}
	c.Create(append(objects, pod)...)
	c.joins(workload.DaemonSet, "late")
	c.passAt(2 * time.Hour)
	if w := c.statusOf(firstMember, "late"); w.State != v1alpha1.WorkloadLeftToKubelet || w.Attempts != 0 || c.rollouts() != 3 {
		t.Errorf("%d restarts, and of another workload on record is %+v; want it to be left alone", c.rollouts(), w)
	}
}

// TestNoFurtherRestartUntilItsPodsAreThere: a rollout that replaces nothing, for example
// because it is slow, is not repeated.
func TestNoFurtherRestartUntilItsPodsAreThere(t *testing.T) {
	c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), controllertest.Policy())...)
	for at := time.Duration(0); at <= time.Hour; at += time.Minute {
		c.passAt(at)
	}
	if w := c.web(firstMember); w.Attempts != 1 || w.State != v1alpha1.WorkloadRestarting || c.rollouts() != 1 {
		t.Errorf("%d restarts, and on record is %+v", c.rollouts(), w)
	}
}

// TestCooldownAfterAnyRestart: also one by a person holds up the next one.
func TestCooldownAfterAnyRestart(t *testing.T) {
	objects := webWith(stuckPod("node-1", "web-1", -time.Hour))
	deployment, _ := objects[0].(*appsv1.Deployment)
	deployment.Spec.Template.Annotations = map[string]string{workload.RestartedAt: after(-time.Minute).Format(time.RFC3339)}
	policy := controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) {
		p.Spec.Limits.RestartCooldown = &metav1.Duration{Duration: 20 * time.Minute}
		p.Spec.Restart.Delay = &metav1.Duration{Duration: 2 * time.Minute}
	})
	c := newCluster(t, append(objects, waitingWeb(), policy)...)
	for _, at := range []time.Duration{0, 2 * time.Minute, 19*time.Minute - time.Second} {
		if result := c.passAt(at); result.RequeueAfter != 19*time.Minute-at || c.rollouts() != 0 {
			t.Errorf("%v after the grant: %+v after %d restarts, want a wait for the cooldown", at, result, c.rollouts())
		}
	}
	c.passAt(19 * time.Minute)
	if w := c.web(firstMember); w.Attempts != 1 || c.rollouts() != 1 {
		t.Errorf("%d restarts after the cooldown, and on record is %+v", c.rollouts(), w)
	}
}

// TestNothingIsDoneWithoutAccess: no call is made for a grant that is being deleted, has
// ended, or was not written yet.
func TestNothingIsDoneWithoutAccess(t *testing.T) {
	for name, edit := range map[string]func(*v1alpha1.PullAccessGrant){
		"deleted": func(g *v1alpha1.PullAccessGrant) { g.DeletionTimestamp = after(0) },
		"not written": func(g *v1alpha1.PullAccessGrant) {
			g.Status = v1alpha1.PullAccessGrantStatus{Workloads: g.Status.Workloads}
		},
		"ended": endedWith(v1alpha1.EndExpired), "revoked": endedWith(v1alpha1.EndRevoked),
		"removed by somebody else": endedWith(v1alpha1.EndRemovedExternally),
	} {
		t.Run(name, func(t *testing.T) {
			grant := waitingWeb()
			edit(grant)
			c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), grant, controllertest.Policy())...)
			c.Step(time.Hour)
			result, err := c.r.Reconcile(t.Context(), grant)
			if calls := c.Calls.Strings(); err != nil || result != (reconcile.Result{}) || len(calls) > 0 {
				t.Errorf("%+v, %v after the calls %q; want none", result, err, calls)
			}
		})
	}
}
