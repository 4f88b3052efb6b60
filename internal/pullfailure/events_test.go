// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestFromEvents(t *testing.T) {
	const missing = `Failed to pull image "` + google1 + `": ` + frame + google1 + ": not found"
	app := func(reason, message string) Failure {
		return Failure{Container: "app", Role: Container, Image: google1, Reason: reason, Message: message}
	}
	pulled := event(5, "Pulled", inApp, `Successfully pulled image "`+google1+`" in 2s (2s including waiting). Image size: 1 bytes.`)
	sandbox := Failure{Role: Sandbox, SandboxImage: "us-central1-docker.pkg.dev/acme-prod/services/pause:3.10", Reason: "FailedCreatePodSandBox", Message: noSandbox}
	tests := map[string]struct {
		pod    *corev1.Pod
		events []*corev1.Event
		want   []Failure
		why    string
	}{
		"nothing is said": {pod: cart()},
		"the status says it all": {
			pod:    cart(waiting("app", "ErrImagePull", oauth+"403 Forbidden")),
			events: []*corev1.Event{event(1, "Failed", inApp, missing)},
			want:   []Failure{app("ErrImagePull", oauth+"403 Forbidden")},
			why:    "the status comes first",
		},
		"the status before 1.32": {
			pod:    cart(waiting("app", "ImagePullBackOff", backOffOf)),
			events: []*corev1.Event{event(1, "Failed", inApp, refused), event(2, "Failed", inApp, "Error: ImagePullBackOff"), event(3, "BackOff", inApp, backOffOf)},
			want:   []Failure{app("ImagePullBackOff", refused)},
			why:    "the newest event with a cause lends its text",
		},
		"the newest cause wins": {
			pod:    cart(waiting("app", "ImagePullBackOff", backOffOf)),
			events: []*corev1.Event{event(4, "Failed", inApp, refused), event(2, "Failed", inApp, missing)},
			want:   []Failure{app("ImagePullBackOff", refused)},
			why:    "events come in no order",
		},
		"no event with a cause": {
			pod:    cart(waiting("app", "ImagePullBackOff", backOffOf)),
			events: []*corev1.Event{nil, event(2, "Failed", inApp, "Error: ErrImagePull")},
			want:   []Failure{app("ImagePullBackOff", backOffOf)},
		},
		"the status is about a volume of the container": {
			pod:    cart(waiting("side", "ImagePullBackOff", `Back-off pulling image "gcr.io/acme/model:7"`)),
			events: []*corev1.Event{event(1, "Failed", "spec.containers{side}", `Failed to pull image "busybox": `+oauth+"403 Forbidden")},
			want:   []Failure{{Container: "side", Role: Container, Image: "gcr.io/acme/model:7", Reason: "ImagePullBackOff", Message: `Back-off pulling image "gcr.io/acme/model:7"`}},
			why:    "what is said of one image is not true of the other",
		},
		"the event is about that volume": {
			pod:    cart(waiting("side", "ImagePullBackOff", `Back-off pulling image "gcr.io/acme/model:7"`)),
			events: []*corev1.Event{event(1, "Failed", "", `Failed to pull image "gcr.io/acme/model:7": denied: x`)},
			want:   []Failure{{Container: "side", Role: Container, Image: "gcr.io/acme/model:7", Reason: "ImagePullBackOff", Message: `Failed to pull image "gcr.io/acme/model:7": denied: x`}},
		},
		"a container that ran cannot pull again": {
			pod:    cart(corev1.ContainerStatus{Name: "app", State: corev1.ContainerState{Terminated: ended(1, 3)}}, running("side", 1)),
			events: []*corev1.Event{event(4, "Failed", inApp, refused), event(5, "BackOff", inApp, backOffOf)},
			want:   []Failure{app("ImagePullBackOff", refused)},
			why:    "the pod is Running, and its status shows no pull",
		},
		"a container that started since": {
			pod:    cart(running("app", 6)),
			events: []*corev1.Event{event(4, "Failed", inApp, refused), event(5, "BackOff", inApp, backOffOf)},
		},
		"an image that came since": {
			pod:    cart(),
			events: []*corev1.Event{event(4, "Failed", inApp, refused), pulled},
		},
		"an image that came before": {
			pod:    cart(),
			events: []*corev1.Event{event(6, "Failed", inApp, refused), pulled},
			want:   []Failure{app("ErrImagePull", refused)},
		},
		"another container's image came": {
			pod:    cart(),
			events: []*corev1.Event{event(4, "Failed", inApp, refused), event(5, "Pulled", "spec.containers{side}", `Container image "busybox" already present on machine`)},
			want:   []Failure{app("ErrImagePull", refused)},
		},
		"an earlier pod's image came": {
			pod:    cart(),
			events: []*corev1.Event{event(4, "Failed", inApp, refused), withUID(pulled.DeepCopy(), "u0")},
			want:   []Failure{app("ErrImagePull", refused)},
		},
		"the sandbox": {
			pod:    cart(),
			events: []*corev1.Event{event(1, "FailedCreatePodSandBox", "", noSandbox)},
			want:   []Failure{sandbox},
		},
		"the sandbox, and then containers": {
			pod:    cart(),
			events: []*corev1.Event{event(1, "FailedCreatePodSandBox", "", noSandbox), event(2, "Pulling", inApp, `Pulling image "`+google1+`"`), event(3, "Failed", inApp, refused)},
			want:   []Failure{app("ErrImagePull", refused)},
			why:    "no image is pulled without a sandbox",
		},
		"in the order of the spec": {
			pod: cart(waiting("side", "ErrImagePull", "m")),
			events: []*corev1.Event{
				event(4, "BackOff", "spec.ephemeralContainers{debug}", `Back-off pulling image "gcr.io/acme/debug:1"`), event(3, "Failed", inApp, refused),
				event(2, "BackOff", "spec.initContainers{init}", `Back-off pulling image "gcr.io/acme/init:1"`), event(1, "FailedCreatePodSandBox", "", noSandbox),
			},
			want: []Failure{
				sandbox,
				{Container: "init", Role: InitContainer, Image: "gcr.io/acme/init:1", Reason: "ImagePullBackOff", Message: `Back-off pulling image "gcr.io/acme/init:1"`},
				app("ErrImagePull", refused),
				{Container: "side", Role: Container, Image: "busybox", Reason: "ErrImagePull", Message: "m"},
				{Container: "debug", Role: EphemeralContainer, Image: "gcr.io/acme/debug:1", Reason: "ImagePullBackOff", Message: `Back-off pulling image "gcr.io/acme/debug:1"`},
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(tc.events)
			if diff := cmp.Diff(tc.want, FromEvents(tc.pod, tc.events)); diff != "" {
				t.Errorf("(-want +got) %s\n%s", tc.why, diff)
			}
			if !slices.Equal(before, tc.events) {
				t.Error("the caller's events were put in another order")
			}
		})
	}
	if got := FromEvents(nil, []*corev1.Event{pulled}); got != nil {
		t.Errorf("no pod has %v", got)
	}
}
