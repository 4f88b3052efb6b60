// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// failingPod returns a pod with one failing container for each image.
func failingPod(images ...string) *corev1.Pod {
	pod := &corev1.Pod{}
	for i, image := range images {
		name := "c" + strconv.Itoa(i)
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: name, Image: image})
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "dial tcp: lookup us-docker.pkg.dev: no such host"}},
		})
	}
	return pod
}

// TestLongReferencesAreInvalid checks that an image reference of more than 4 KB is not
// kept, and counts as invalid for every message.
func TestLongReferencesAreInvalid(t *testing.T) {
	for name, tc := range map[string]struct {
		length int
		image  bool
		want   Cause
	}{
		"longest": {length: 4096, image: true, want: Network},
		"longer":  {length: 4097, want: InvalidReference},
		"huge":    {length: 1 << 20, want: InvalidReference},
	} {
		t.Run(name, func(t *testing.T) {
			failures := InPod(failingPod(strings.Repeat("y", tc.length)))
			if len(failures) != 1 || (failures[0].Image != "") != tc.image {
				t.Fatalf("%d failures; an image is kept, want %v", len(failures), tc.image)
			}
			if got := failures[0].Classify(); got.Cause != tc.want || got.Repairable() {
				t.Errorf("cause %s, repairable %v; want %s", got.Cause, got.Repairable(), tc.want)
			}
		})
	}
	if failures := InPod(failingPod("")); len(failures) != 1 || failures[0].Classify().Cause != InvalidReference {
		t.Errorf("where the reference was left out, the failures are %+v", failures)
	}
}

// TestFailuresOfAPodAreBounded evaluates a pod with many containers and volumes.
func TestFailuresOfAPodAreBounded(t *testing.T) {
	const many, most = 1000, 100
	pod := failingPod(make([]string, many)...)
	if n := len(InPod(pod)); n == 0 || n > most {
		t.Errorf("%d failures of one pod, want some, and at most %d", n, most)
	}
	for range many {
		pod.Spec.Volumes = append(pod.Spec.Volumes, imageVolume("x"))
	}
	if n := len(quotedVolumes(pod, `"x"`)); n == 0 || n > most {
		t.Errorf("%d image volumes of one pod, want some, and at most %d", n, most)
	}
}

func imageVolume(reference string) corev1.Volume {
	return corev1.Volume{VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: reference}}}
}

// TestVolumeThatIsLeftOutHidesTheImage: a denial of a volume's image is never taken for one
// of the container's own, however many volumes the pod has and however long their references are.
func TestVolumeThatIsLeftOutHidesTheImage(t *testing.T) {
	const own, model = "us-docker.pkg.dev/acme/app/web:1", "us-docker.pkg.dev/acme/models/llm:7"
	const denied = `: failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://us-docker.pkg.dev/v2/token: 403 Forbidden`
	pull := func(image string) string { return `failed to pull and unpack image "` + image + `"` + denied }
	long := "us-docker.pkg.dev/acme/models/" + strings.Repeat("y", 4096)
	var many []corev1.Volume
	for i := range 64 {
		many = append(many, imageVolume("us-docker.pkg.dev/acme/other/i:"+strconv.Itoa(i)))
	}
	for name, tc := range map[string]struct {
		volumes    []corev1.Volume
		message    string
		want       string
		repairable bool
	}{
		"no volume":                              {message: pull(own), want: own, repairable: true},
		"the 65th volume":                        {volumes: append(slices.Clone(many), imageVolume(model)), message: pull(model), want: model, repairable: true},
		"the container beside 65":                {volumes: append(slices.Clone(many), imageVolume(model)), message: pull(own), want: own, repairable: true},
		"a long reference":                       {volumes: []corev1.Volume{imageVolume(long)}, message: pull(long[:200] + "..."), want: ""},
		"a long reference, whole":                {volumes: []corev1.Volume{imageVolume(long)}, message: "failed to pull and unpack image \"" + long + "\"" + denied, want: ""},
		"a reference that was left out":          {volumes: []corev1.Volume{imageVolume("")}, message: "failed to pull" + denied, want: ""},
		"a reference that is quoted differently": {volumes: []corev1.Volume{imageVolume(`us-docker.pkg.dev/a/"b/c`)}, message: `failed to pull image "us-docker.pkg.dev/a/\"b/c"` + denied, want: ""},
		"the container beside a long reference":  {volumes: []corev1.Volume{imageVolume(long)}, message: pull(own), want: own, repairable: true},
		"another volume beside a long reference": {volumes: []corev1.Volume{imageVolume(long), imageVolume(model)}, message: pull(model), want: model, repairable: true},
	} {
		t.Run(name, func(t *testing.T) {
			pod := failingPod(own)
			pod.Spec.Volumes = tc.volumes
			pod.Status.ContainerStatuses[0].State.Waiting.Message = tc.message
			failures := InPod(pod)
			if len(failures) != 1 || failures[0].Image != tc.want || failures[0].Classify().Repairable() != tc.repairable {
				t.Errorf("failures are %+v, want one of image %q, repairable %v", failures, tc.want, tc.repairable)
			}
		})
	}
}

// TestTruncateKeepsTheVerdict checks that a cut message gives the verdict of the whole
// message, and never one that leads to a grant.
func TestTruncateKeepsTheVerdict(t *testing.T) {
	const image = "us-docker.pkg.dev/acme-prod/services/checkout:1"
	denied := `failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://us-docker.pkg.dev/v2/token: 403 Forbidden`
	for name, message := range map[string]string{
		"short": denied, "denied first": denied + strings.Repeat(" x", 1<<16), "denied last": strings.Repeat("x ", 1<<16) + denied,
	} {
		cut := Truncate(message)
		if len(cut) > 8<<10+1 || Truncate(cut) != cut {
			t.Errorf("%s: it is cut to %d bytes, and not for good", name, len(cut))
		}
		whole := Classify(Text{Message: message, Image: image, Reason: "ErrImagePull"})
		got := Classify(Text{Message: cut, Image: image, Reason: "ErrImagePull"})
		if whole.Cause != got.Cause || whole.Repairable() != got.Repairable() {
			t.Errorf("%s: %s, repairable %v, from the whole and %s, %v, from what is left", name, whole.Cause, whole.Repairable(), got.Cause, got.Repairable())
		}
		if len(cut) < len(message) && got.Repairable() {
			t.Errorf("%s: a grant follows from a message that was cut", name)
		}
	}
}
