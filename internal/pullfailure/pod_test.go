// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func waiting(name, reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: name, Image: "status.example/never:used",
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}
}

func TestInPod(t *testing.T) {
	running := corev1.ContainerStatus{Name: "ok", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	tests := map[string]struct {
		pod  *corev1.Pod
		want []Failure
		why  string
	}{
		"no pod": {},
		"a pod that was not yet seen by the kubelet": {
			pod: &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "a"}}}},
		},
		"every kind of container, in the order of the spec": {
			pod: &corev1.Pod{
				Spec: corev1.PodSpec{
					InitContainers:      []corev1.Container{{Name: "init", Image: "i"}, {Name: "sidecar", Image: "s"}},
					Containers:          []corev1.Container{{Name: "ok", Image: "o"}, {Name: "b", Image: "b"}, {Name: "a", Image: "a"}},
					EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "d"}}},
				},
				Status: corev1.PodStatus{
					InitContainerStatuses:      []corev1.ContainerStatus{waiting("sidecar", "ImagePullBackOff", "m1"), waiting("init", "PodInitializing", "")},
					ContainerStatuses:          []corev1.ContainerStatus{waiting("a", "ErrImagePull", "m2"), running, waiting("b", "InvalidImageName", "m3")},
					EphemeralContainerStatuses: []corev1.ContainerStatus{waiting("debug", "ErrImageNeverPull", "m4")},
				},
			},
			want: []Failure{
				{Container: "sidecar", Role: InitContainer, Image: "s", Reason: "ImagePullBackOff", Message: "m1"},
				{Container: "b", Role: Container, Image: "b", Reason: "InvalidImageName", Message: "m3"},
				{Container: "a", Role: Container, Image: "a", Reason: "ErrImagePull", Message: "m2"},
				{Container: "debug", Role: EphemeralContainer, Image: "d", Reason: "ErrImageNeverPull", Message: "m4"},
			},
			why: "the image is the spec's, whatever the status says",
		},
		"reasons that the kubelet takes from the runtime": {
			pod: &corev1.Pod{
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}, {Name: "b", Image: "b"}, {Name: "c", Image: "c"}, {Name: "d", Image: "d"}}},
				Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
					waiting("a", "RegistryUnavailable", ""), waiting("b", "SignatureValidationFailed", ""), waiting("c", "ImageInspectError", ""), waiting("d", "CrashLoopBackOff", ""),
				}},
			},
			want: []Failure{
				{Container: "a", Role: Container, Image: "a", Reason: "RegistryUnavailable"},
				{Container: "b", Role: Container, Image: "b", Reason: "SignatureValidationFailed"},
				{Container: "c", Role: Container, Image: "c", Reason: "ImageInspectError"},
			},
			why: "a container that crashes has its image",
		},
		"the image of a volume": {
			pod: &corev1.Pod{
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{{Name: "app", Image: "gcr.io/acme/app:1"}},
					Volumes: []corev1.Volume{
						{Name: "other", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
						{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "gcr.io/acme/model:7"}}},
					},
				},
				Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waiting("app", "ImagePullBackOff", `Back-off pulling image "gcr.io/acme/model:7"`)}},
			},
			want: []Failure{{Container: "app", Role: Container, Image: "gcr.io/acme/model:7", Reason: "ImagePullBackOff", Message: `Back-off pulling image "gcr.io/acme/model:7"`}},
			why:  "the kubelet reports it as the container's",
		},
		"an image that only the text names": {
			pod: &corev1.Pod{
				Spec:   corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "gcr.io/acme/app:1"}}},
				Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waiting("app", "ErrImagePull", `failed to pull and unpack image "gcr.io/victim/app:1"`)}},
			},
			want: []Failure{{Container: "app", Role: Container, Image: "gcr.io/acme/app:1", Reason: "ErrImagePull", Message: `failed to pull and unpack image "gcr.io/victim/app:1"`}},
			why:  "a text can't choose the image",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, InPod(tc.pod)); diff != "" {
				t.Errorf("(-want +got) %s\n%s", tc.why, diff)
			}
		})
	}
}

func TestCausesAreClosed(t *testing.T) {
	list := Causes()
	list[0] = "changed"
	if Causes()[0] != PermissionDenied {
		t.Error("a caller can change the list of causes")
	}
	for bit, want := range map[causeSet]Cause{permissionDenied: PermissionDenied, repositoryNotFound: RepositoryNotFound, tls: TLS, backOff: BackOff, notPullFailure: NotPullFailure, 0: "", noAccess: Ambiguous} {
		if got := bit.cause(); got != want {
			t.Errorf("set %b is %q, want %q", bit, got, want)
		}
	}
}
