// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

var (
	waiting    = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}
	running    = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	terminated = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	killed     = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exitKilled}}
)

func TestPhase(t *testing.T) {
	sidecar := corev1.Container{Name: "init", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}
	for name, tc := range map[string]struct {
		init                *corev1.Container
		initState, app, old corev1.ContainerState
		want                corev1.PodPhase
		why                 string
	}{
		"waiting":                {app: waiting, want: corev1.PodPending, why: "a container that never ran"},
		"running":                {app: running, want: corev1.PodRunning, why: "every container runs"},
		"waiting, ran before":    {app: waiting, old: terminated, want: corev1.PodRunning, why: "a re-pull that fails leaves the pod Running"},
		"completed":              {app: terminated, want: corev1.PodSucceeded, why: "all ended well"},
		"killed":                 {app: killed, want: corev1.PodFailed, why: "one did not end well"},
		"init waits":             {init: &corev1.Container{Name: "init"}, initState: waiting, app: waiting, want: corev1.PodPending, why: "not initialized"},
		"init done, app waits":   {init: &corev1.Container{Name: "init"}, initState: terminated, app: waiting, want: corev1.PodPending, why: "the app never ran"},
		"init done, app runs":    {init: &corev1.Container{Name: "init"}, initState: terminated, app: running, want: corev1.PodRunning, why: "the app runs"},
		"sidecar waits, app too": {init: &sidecar, initState: waiting, app: waiting, want: corev1.PodPending, why: "a sidecar counts as a container"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
			rec := &podRecord{containers: map[string]*container{
				"app": {status: corev1.ContainerStatus{State: tc.app, LastTerminationState: tc.old}},
			}}
			if tc.init != nil {
				pod.Spec.InitContainers = []corev1.Container{*tc.init}
				rec.containers["init"] = &container{status: corev1.ContainerStatus{State: tc.initState}}
			}
			if got := phaseOf(pod, rec); got != tc.want {
				t.Errorf("phase %s, want %s: %s", got, tc.want, tc.why)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Generation: 2},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "one"}},
			Containers:     []corev1.Container{{Name: "two"}, {Name: "three"}},
		},
	}
	rec := &podRecord{containers: map[string]*container{
		"one":   {status: corev1.ContainerStatus{State: waiting}},
		"two":   {status: corev1.ContainerStatus{State: waiting}},
		"three": {status: corev1.ContainerStatus{State: waiting}},
	}}
	before := metav1.NewTime(time.Unix(1000, 0))
	rec.written = statusOf(pod, rec, before)
	summary := func(status corev1.PodStatus) map[string]string {
		all := map[string]string{}
		for _, c := range status.Conditions {
			all[string(c.Type)] = string(c.Status) + " " + c.Message + " " + c.LastTransitionTime.UTC().Format(time.TimeOnly)
		}
		return all
	}
	want := map[string]string{
		"PodScheduled":              "True  00:16:40",
		"PodReadyToStartContainers": "True  00:16:40",
		"Initialized":               "False containers with incomplete status: [one] 00:16:40",
		"Ready":                     "False containers with unready status: [two three] 00:16:40",
		"ContainersReady":           "False containers with unready status: [two three] 00:16:40",
	}
	if diff := cmp.Diff(want, summary(rec.written)); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}

	rec.containers["one"].status.State = terminated
	for _, name := range []string{"two", "three"} {
		rec.containers[name].status.State, rec.containers[name].status.Ready = running, true
	}
	want = map[string]string{
		"PodScheduled":              "True  00:16:40",
		"PodReadyToStartContainers": "True  00:16:40",
		"Initialized":               "True  00:33:20",
		"Ready":                     "True  00:33:20",
		"ContainersReady":           "True  00:33:20",
	}
	if diff := cmp.Diff(want, summary(statusOf(pod, rec, metav1.NewTime(time.Unix(2000, 0))))); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
}
