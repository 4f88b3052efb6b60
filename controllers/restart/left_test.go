// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/message"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// TestLeftToTheKubelet: what is not restarted bears the reason on record and in an Event,
// and no pod or workload is touched.
func TestLeftToTheKubelet(t *testing.T) {
	deployment := func(edit func(*appsv1.Deployment)) func() (v1alpha1.WorkloadStatus, []client.Object) {
		return func() (v1alpha1.WorkloadStatus, []client.Object) {
			objects := webWith(stuckPod("node-1", "web-1", -time.Hour))
			if d, ok := objects[0].(*appsv1.Deployment); ok {
				edit(d)
			}
			return controllertest.Waiting(workload.Deployment, "web"), objects
		}
	}
	onDelete := func(kind string) func() (v1alpha1.WorkloadStatus, []client.Object) {
		return func() (v1alpha1.WorkloadStatus, []client.Object) {
			objects, owner := workloadOf(kind, "web")
			switch set := objects[0].(type) {
			case *appsv1.StatefulSet:
				set.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
			case *appsv1.DaemonSet:
				set.Spec.UpdateStrategy.Type = appsv1.OnDeleteDaemonSetStrategyType
			}
			pod := stuckPod("node-1", "web-1", -time.Hour)
			pod.OwnerReferences = []metav1.OwnerReference{owner}
			return controllertest.Waiting(kind, "web"), append(objects, pod)
		}
	}
	for name, tc := range map[string]struct {
		cluster func() (v1alpha1.WorkloadStatus, []client.Object)
		policy  func(*v1alpha1.PullAccessPolicy)
		want    string
	}{
		"strategy None": {
			policy: func(p *v1alpha1.PullAccessPolicy) { p.Spec.Restart.Strategy = v1alpha1.RestartNone },
			want:   message.RestartsOff("prod"),
		},
		"bare pod": {
			cluster: func() (v1alpha1.WorkloadStatus, []client.Object) {
				return controllertest.Waiting(workload.Pod, "web-1"), []client.Object{stuckPod("node-1", "web-1", -time.Hour)}
			},
			want: message.KindNotRestarted(workload.Pod),
		},
		"pod of a Job": {
			cluster: func() (v1alpha1.WorkloadStatus, []client.Object) {
				pod := stuckPod("node-1", "web-1", -time.Hour)
				pod.OwnerReferences = []metav1.OwnerReference{controllertest.ControlledBy("batch/v1", "Job", "web")}
				return controllertest.Waiting(workload.Pod, "web-1"), []client.Object{pod, &batchv1.Job{ObjectMeta: controllertest.Meta("web")}}
			},
			want: message.KindNotRestarted(workload.Pod),
		},
		"paused Deployment": {
			cluster: deployment(func(d *appsv1.Deployment) { d.Spec.Paused = true }), want: message.RolloutsPaused,
		},
		"StatefulSet that waits for deletions": {cluster: onDelete(workload.StatefulSet), want: message.RolloutsPaused},
		"DaemonSet that waits for deletions":   {cluster: onDelete(workload.DaemonSet), want: message.RolloutsPaused},
		"owner of other pods": {
			cluster: deployment(func(d *appsv1.Deployment) { d.Spec.Selector.MatchLabels = map[string]string{"app": "other"} }),
			want:    message.SelectorMismatch,
		},
		"policy in mode DryRun": {
			policy: func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeDryRun }, want: message.PolicyNotInForce("prod"),
		},
		"paused policy": {
			policy: func(p *v1alpha1.PullAccessPolicy) { p.Spec.Pause = &v1alpha1.PauseSpec{} }, want: message.PolicyNotInForce("prod"),
		},
		"deleted policy": {
			policy: func(p *v1alpha1.PullAccessPolicy) { p.Name = "another" }, want: message.PolicyNotInForce("prod"),
		},
		"namespace not selected": {
			policy: func(p *v1alpha1.PullAccessPolicy) {
				p.Spec.NamespaceSelector.MatchLabels = map[string]string{"env": "test"}
			},
			want: message.PolicyNotInForce("prod"),
		},
		"pod not selected": {
			policy: func(p *v1alpha1.PullAccessPolicy) { p.Spec.PodSelector.MatchLabels = map[string]string{"app": "api"} },
			want:   message.PolicyNotInForce("prod"),
		},
		"policy in mode Approve": {
			policy: func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeApprove }, want: message.RestartNotApproved("prod"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.cluster == nil {
				tc.cluster = deployment(func(*appsv1.Deployment) {})
			}
			if tc.policy == nil {
				tc.policy = func(*v1alpha1.PullAccessPolicy) {}
			}
			w, objects := tc.cluster()
			e := newEnv(t, append(objects, carriedOut(firstMember, w), controllertest.Policy(tc.policy))...)
			for _, at := range []time.Duration{0, time.Minute, time.Hour} {
				if result := e.passAt(at); result.RequeueAfter != 0 {
					t.Errorf("%v after the grant the next look is in %v, want none without a change", at, result.RequeueAfter)
				}
			}
			got := e.grant(firstMember).Status.Workloads[0]
			if got.State != v1alpha1.WorkloadLeftToKubelet || got.Message != tc.want || got.Attempts != 0 {
				t.Errorf("on record is %+v, want %q", got, tc.want)
			}
			if len(e.Calls.Of("patch"))+len(e.Calls.Of("delete")) > 0 || len(e.pods()) != 1 {
				t.Errorf("written was %v, and left are %q", e.Writes(), e.pods())
			}
			e.wantEvents(v1alpha1.ReasonLeftToKubelet, w.Kind+"/"+w.Name)
		})
	}
}

// TestApprovedGrantRestarts: under a policy in mode Approve, a person's approval under that
// very policy allows the restart, and one under another policy does not.
func TestApprovedGrantRestarts(t *testing.T) {
	for name, tc := range map[string]struct {
		review   v1alpha1.Review
		policy   string
		restarts int
	}{
		"approved":               {v1alpha1.Review{Decision: v1alpha1.ReviewApproved, User: "ann"}, "prod", 1},
		"approved under another": {v1alpha1.Review{Decision: v1alpha1.ReviewApproved, User: "ann"}, "other", 0},
		"denied":                 {v1alpha1.Review{Decision: v1alpha1.ReviewDenied, User: "ann"}, "prod", 0},
	} {
		t.Run(name, func(t *testing.T) {
			grant := waitingWeb()
			grant.Status.Review, grant.Status.Policy = &tc.review, tc.policy
			policy := controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeApprove })
			e := newEnv(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), grant, policy)...)
			e.passAt(time.Minute)
			if n := e.rollouts(); n != tc.restarts {
				t.Errorf("%d restarts, want %d", n, tc.restarts)
			}
		})
	}
}

// TestAnotherPolicySpecIsApplied: what was left to the kubelet under the policy as it was is
// restarted when the policy changes.
func TestAnotherPolicySpecIsApplied(t *testing.T) {
	paused := controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Pause = &v1alpha1.PauseSpec{} })
	e := newEnv(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), paused)...)
	e.passAt(time.Minute)
	resumed := e.Policy("prod")
	resumed.Spec.Pause = nil
	if err := e.Server.Update(t.Context(), resumed); err != nil {
		t.Fatal(err)
	}
	for _, request := range e.r.openGrants(t.Context(), resumed) {
		if request.Name != e.grant(firstMember).Name {
			t.Errorf("the policy leads to a pass for %s", request.Name)
		}
		e.passAt(2 * time.Minute)
	}
	if w := e.web(firstMember); w.State != v1alpha1.WorkloadRestarting || e.rollouts() != 1 {
		t.Errorf("%d restarts, and on record is %+v", e.rollouts(), w)
	}
}

// TestWhatBecomesOfAQuietWorkload: a workload that no longer lacks access is not restarted.
func TestWhatBecomesOfAQuietWorkload(t *testing.T) {
	missing := `failed to resolve reference "` + image + `": ` + image + `: not found`
	slow := `failed to pull image "` + image + `": dial tcp 192.0.2.1:443: i/o timeout`
	for name, tc := range map[string]struct {
		edit func(deployment *appsv1.Deployment, pod *corev1.Pod)
		at   time.Duration
		want v1alpha1.WorkloadState
		says string
		why  string
	}{
		"deleted": {
			edit: func(d *appsv1.Deployment, _ *corev1.Pod) { d.Name = "other" }, want: v1alpha1.WorkloadGone, says: message.WorkloadGone,
		},
		"made anew": {
			edit: func(d *appsv1.Deployment, _ *corev1.Pod) { d.UID = "uid-later" }, want: v1alpha1.WorkloadGone, says: message.WorkloadGone,
		},
		"scaled to zero": {
			edit: func(d *appsv1.Deployment, pod *corev1.Pod) {
				d.Spec.Replicas, pod.OwnerReferences = ptr.To[int32](0), nil
			},
			want: v1alpha1.WorkloadGone, says: message.WorkloadGone,
		},
		"image missing": {
			edit: func(_ *appsv1.Deployment, pod *corev1.Pod) { controllertest.Failing("ErrImagePull", missing)(pod) },
			want: v1alpha1.WorkloadLeftToKubelet, says: message.OtherCause("ImageNotFound"),
		},
		"network down": {
			edit: func(_ *appsv1.Deployment, pod *corev1.Pod) { controllertest.Failing("ErrImagePull", slow)(pod) },
			at:   2 * time.Hour, want: v1alpha1.WorkloadWaiting, why: "what it lacks shows at its next try",
		},
		"being deleted": {
			edit: func(_ *appsv1.Deployment, pod *corev1.Pod) {
				pod.DeletionTimestamp, pod.Finalizers = after(0), []string{"example.com/wait"}
			},
			want: v1alpha1.WorkloadWaiting, why: "its replacement is on its way",
		},
		"on no node": {
			edit: func(_ *appsv1.Deployment, pod *corev1.Pod) {
				pod.Spec.NodeName = ""
				pod.Status.ContainerStatuses = nil
			},
			want: v1alpha1.WorkloadWaiting, why: "it may pull when it has a node",
		},
		"on no node for long": {
			edit: func(_ *appsv1.Deployment, pod *corev1.Pod) {
				pod.Spec.NodeName = ""
				pod.Status.ContainerStatuses = nil
			},
			at: 2 * time.Hour, want: v1alpha1.WorkloadGone, says: message.WorkloadQuiet,
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := stuckPod("node-1", "web-1", -time.Hour)
			objects := webWith(pod)
			if d, ok := objects[0].(*appsv1.Deployment); ok {
				tc.edit(d, pod)
			}
			e := newEnv(t, append(objects, waitingWeb(), controllertest.Policy())...)
			result := e.passAt(max(tc.at, time.Minute))
			if w := e.web(firstMember); w.State != tc.want || w.Message != tc.says || e.rollouts() != 0 {
				t.Errorf("%d restarts, and on record is %+v; want %s %q: %s", e.rollouts(), w, tc.want, tc.says, tc.why)
			}
			if again := result.RequeueAfter > 0; again != (tc.want == v1alpha1.WorkloadWaiting) {
				t.Errorf("the next look is in %v", result.RequeueAfter)
			}
		})
	}
}
