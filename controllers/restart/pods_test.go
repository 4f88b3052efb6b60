// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"cmp"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// TestWhatProvesAPull: only a container that was started since the grant was written
// can have been pulled by it, and only one that was started since it was asked for
// counts as a recovery.
func TestWhatProvesAPull(t *testing.T) {
	tests := map[string]struct {
		made, started   time.Duration
		edit            func(*corev1.Pod)
		recovers, pulls bool
		stuck           bool
		why             string
	}{
		"running since an earlier life": {made: -48 * time.Hour, started: -47 * time.Hour},
		"started while it was waited for": {
			made: -2 * time.Hour, started: -30 * time.Minute, recovers: true, why: "its node may have had the image",
		},
		"started after the write": {made: -2 * time.Hour, started: time.Minute, recovers: true, pulls: true},
		"crashed and started since": {
			made: -2 * time.Hour, started: time.Minute, edit: crashed(corev1.PullIfNotPresent), why: "the image was on its node",
		},
		"crashed, pulled and started since": {
			made: -2 * time.Hour, started: time.Minute, edit: crashed(corev1.PullAlways), recovers: true, pulls: true,
			why: "the kubelet asks the registry before each start",
		},
		"crashed, and cannot be pulled": {
			made: -2 * time.Hour, stuck: true, why: "its pod is running, and so not among the pending ones",
			edit: func(pod *corev1.Pod) {
				crashed(corev1.PullAlways)(pod)
				pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
					Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image"},
				}
			},
		},
		"made and started after the write": {made: time.Minute, started: 2 * time.Minute, recovers: true, why: "its node may have the image by now"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := controllertest.Pod("node-1", "web", image, controllertest.Started(granted.Add(tc.started)))
			pod.CreationTimestamp = *after(tc.made)
			if tc.edit != nil {
				tc.edit(pod)
			}
			e := newEnv(t, pod)
			grant := grantedAt(nil)
			grant.CreationTimestamp = *after(-72 * time.Hour)
			grant.Status.RequestedTime = after(-time.Hour) // Asked for anew; a person took their time.
			grant.Status.Write = &v1alpha1.IAMPolicyWrite{IntentTime: *after(0)}
			w := controllertest.Workload(workload.Pod, "web")
			live, err := workload.Read(t.Context(), e.Client, w)
			if err != nil {
				t.Fatal(err)
			}
			v := view{live: live}
			if err := e.r.observeLive(t.Context(), grant, w, &v); err != nil {
				t.Fatal(err)
			}
			if stuck := len(v.stuck) > 0; v.started != tc.recovers || v.pulled != tc.pulls || stuck != tc.stuck {
				t.Errorf("started %v, pulled %v, stuck %v; want %v, %v, %v (%s)", v.started, v.pulled, stuck, tc.recovers, tc.pulls, tc.stuck, tc.why)
			}
		})
	}
}

// crashed has the pod's container run for the second time.
func crashed(policy corev1.PullPolicy) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodRunning
		pod.Spec.Containers[0].ImagePullPolicy = policy
		pod.Status.ContainerStatuses[0].RestartCount = 1
	}
}

// TestCauseOnRepositoryOfAVolume: the denial of a volume's image counts for the volume's
// repository and not for the container's, however many image volumes the pod has.
func TestCauseOnRepositoryOfAVolume(t *testing.T) {
	const model = "us-docker.pkg.dev/acme/models/llm:7"
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "us-docker.pkg.dev/acme/app/web:1"}}}}
	for i := range 100 {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{VolumeSource: corev1.VolumeSource{
			Image: &corev1.ImageVolumeSource{Reference: "us-docker.pkg.dev/acme/other/i:" + strconv.Itoa(i)},
		}})
	}
	pod.Spec.Volumes[99].Image.Reference = model
	controllertest.Failing("ErrImagePull", controllertest.Denial(model))(pod)
	of := func(name string) imageref.Repository {
		return imageref.Repository{Project: "acme", Location: "us", Name: name}
	}
	if got := causeOn(pod, of("app")); got != "" {
		t.Errorf("on the container's repository the cause is %s, want none", got)
	}
	if got := causeOn(pod, of("models")); got != pullfailure.PermissionDenied {
		t.Errorf("on the volume's repository the cause is %q, want %s", got, pullfailure.PermissionDenied)
	}
}

// TestLargePodKeepsItsWorkloadOpen: the cache does not tell what a pod fails with that does
// not fit into it, so that the live read does. Its workload is neither recovered nor gone.
func TestLargePodKeepsItsWorkloadOpen(t *testing.T) {
	denied := corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: controllertest.Denial(image)}
	for name, tc := range map[string]struct {
		edit    func(*corev1.Pod)
		waiting corev1.ContainerStateWaiting
		want    v1alpha1.WorkloadState
		// later is the state after hours, want if it is empty.
		later v1alpha1.WorkloadState
	}{
		"denied":        {waiting: denied, want: v1alpha1.WorkloadWaiting, later: v1alpha1.WorkloadLeftToKubelet},
		"image missing": {waiting: corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: `failed to resolve reference "` + image + `": ` + image + `: not found`}, want: v1alpha1.WorkloadLeftToKubelet},
		"of another image": {waiting: denied, want: v1alpha1.WorkloadRecovered, edit: func(pod *corev1.Pod) {
			pod.Spec.Containers[0].Image = "us-central1-docker.pkg.dev/acme-prod/other/web:1"
		}},
		"on a node of another account": {waiting: denied, want: v1alpha1.WorkloadRecovered, edit: func(pod *corev1.Pod) { pod.Spec.NodeName = "gone" }},
		"deleted": {waiting: denied, want: v1alpha1.WorkloadRecovered, edit: func(pod *corev1.Pod) {
			pod.DeletionTimestamp, pod.Finalizers = after(time.Minute), []string{"example.com/wait"}
		}},
	} {
		for _, now := range []time.Duration{2 * time.Minute, 3 * time.Hour} {
			t.Run(name+" after "+now.String(), func(t *testing.T) {
				labels := map[string]string{"app": "web"}
				deployment := controllertest.Deployment("web", image)
				deployment.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
				started := controllertest.Pod("node-1", "web-1", image, controllertest.Started(granted.Add(time.Minute)))
				started.Labels, started.CreationTimestamp, started.Status.Phase = labels, *after(time.Minute), corev1.PodRunning
				large := started.DeepCopy()
				large.Name, large.Status.Phase = "web-2", corev1.PodPending
				large.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &tc.waiting}
				for i := range 1000 {
					large.Labels["l"+strconv.Itoa(i)] = "x"
				}
				if tc.edit != nil {
					tc.edit(large)
				}
				e := newEnv(t, deployment, started, large)
				grant := grantedAt(nil)
				grant.Status.RequestedTime, grant.Status.Write = after(0), &v1alpha1.IAMPolicyWrite{IntentTime: *after(0)}
				w := controllertest.Waiting(workload.Deployment, "web")
				v, err := e.r.observeWorkload(t.Context(), grant, w, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, wake := plan(w, v, grant, granted.Add(now))
				want := tc.want
				if now > lookFor {
					want = cmp.Or(tc.later, want)
				}
				if got.State != want || got.State == v1alpha1.WorkloadWaiting && wake == 0 {
					t.Errorf("the workload is %s, and looked at again after %s; want %s", got.State, wake, want)
				}
			})
		}
	}
}
