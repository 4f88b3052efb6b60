// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// at is a number of minutes after noon.
func at(minutes int) metav1.Time {
	return metav1.NewTime(noon.Add(time.Duration(minutes) * time.Minute))
}

// event is one that the kubelet writes of a container of the pod shop/cart.
func event(minutes int, reason, fieldPath, message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart.17f"},
		InvolvedObject: corev1.ObjectReference{
			Kind: "Pod", Namespace: "shop", Name: "cart", UID: "u1", APIVersion: "v1", FieldPath: fieldPath,
		},
		Reason: reason, Message: message, Type: corev1.EventTypeWarning, Count: 3,
		FirstTimestamp: at(minutes - 1), LastTimestamp: at(minutes),
		Source: corev1.EventSource{Component: "kubelet", Host: "node-1"},
	}
}

// cart is a pod of every kind of container, one of which mounts an image.
func cart(statuses ...corev1.ContainerStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: "u1"},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "init", Image: "gcr.io/acme/init:1"}},
			Containers: []corev1.Container{
				{Name: "app", Image: google1},
				{Name: "side", Image: "busybox", VolumeMounts: []corev1.VolumeMount{{Name: "model"}}},
			},
			EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "gcr.io/acme/debug:1"}}},
			Volumes: []corev1.Volume{
				{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "gcr.io/acme/model:7"}}},
				{Name: "unused", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "gcr.io/acme/unused:7"}}},
			},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: statuses},
	}
}

func running(name string, since int) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(since)}}}
}

func ended(since, until int) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{StartedAt: at(since), FinishedAt: at(until), ExitCode: 1}
}

const (
	inApp     = "spec.containers{app}"
	refused   = `Failed to pull image "` + google1 + `": ` + oauth + "403 Forbidden"
	backOffOf = `Back-off pulling image "` + google1 + `"`
	noSandbox = `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox "5f": failed to get sandbox image ` +
		`"us-central1-docker.pkg.dev/acme-prod/services/pause:3.10": failed to pull image "us-central1-docker.pkg.dev/acme-prod/services/pause:3.10": ` +
		`failed to pull and unpack image "us-central1-docker.pkg.dev/acme-prod/services/pause:3.10": failed to authorize: failed to fetch oauth token: ` + token + "403 Forbidden"
)

func TestFromEvent(t *testing.T) {
	app := func(reason, message string) Failure {
		return Failure{Container: "app", Role: Container, Image: google1, Reason: reason, Message: message}
	}
	tests := map[string]struct {
		event *corev1.Event
		pod   *corev1.Pod
		want  Failure
		why   string
	}{
		"a failed pull":          {event: event(1, "Failed", inApp, refused), want: app("ErrImagePull", refused)},
		"the error alone":        {event: event(1, "Failed", inApp, "Error: ErrImagePull"), want: app("ErrImagePull", "Error: ErrImagePull")},
		"the back-off alone":     {event: event(1, "Failed", inApp, "Error: ImagePullBackOff"), want: app("ImagePullBackOff", "Error: ImagePullBackOff")},
		"a reason of CRI-O's":    {event: event(1, "Failed", inApp, "Error: SignatureValidationFailed"), want: app("SignatureValidationFailed", "Error: SignatureValidationFailed")},
		"a back-off":             {event: event(1, "BackOff", inApp, backOffOf), want: app("ImagePullBackOff", backOffOf)},
		"no pulling":             {event: event(1, "ErrImageNeverPull", inApp, `Container image "`+google1+`" is not present with pull policy of Never`), want: app("ErrImageNeverPull", `Container image "`+google1+`" is not present with pull policy of Never`)},
		"no answer on the image": {event: event(1, "InspectFailed", inApp, `Failed to inspect image "": rpc error: code = Unknown desc = x`), want: app("ImageInspectError", `Failed to inspect image "": rpc error: code = Unknown desc = x`)},
		"no name of an image": {
			event: event(1, "InspectFailed", inApp, `Failed to apply default image tag "`+google1+`": couldn't parse image name`),
			want:  app("InvalidImageName", `Failed to apply default image tag "`+google1+`": couldn't parse image name`),
		},
		"many made one":          {event: event(1, "Failed", inApp, combined+refused), want: app("ErrImagePull", refused)},
		"by its place":           {event: event(1, "Failed", "spec.containers[0]", refused), want: app("ErrImagePull", refused)},
		"an init container":      {event: event(1, "BackOff", "spec.initContainers{init}", `Back-off pulling image "gcr.io/acme/init:1"`), want: Failure{Container: "init", Role: InitContainer, Image: "gcr.io/acme/init:1", Reason: "ImagePullBackOff", Message: `Back-off pulling image "gcr.io/acme/init:1"`}},
		"a debug container":      {event: event(1, "BackOff", "spec.ephemeralContainers{debug}", `Back-off pulling image "gcr.io/acme/debug:1"`), want: Failure{Container: "debug", Role: EphemeralContainer, Image: "gcr.io/acme/debug:1", Reason: "ImagePullBackOff", Message: `Back-off pulling image "gcr.io/acme/debug:1"`}},
		"the default tag":        {event: event(1, "BackOff", "spec.containers{side}", `Back-off pulling image "busybox:latest"`), want: Failure{Container: "side", Role: Container, Image: "busybox", Reason: "ImagePullBackOff", Message: `Back-off pulling image "busybox:latest"`}},
		"an image volume":        {event: event(1, "Failed", "", `Failed to pull image "gcr.io/acme/model:7": not found`), want: Failure{Container: "side", Role: Container, Image: "gcr.io/acme/model:7", Reason: "ErrImagePull", Message: `Failed to pull image "gcr.io/acme/model:7": not found`}, why: "the kubelet tells it of the whole pod"},
		"a volume nobody mounts": {event: event(1, "Failed", "", `Failed to pull image "gcr.io/acme/unused:7": not found`)},

		"nothing":                        {},
		"another pod":                    {event: event(1, "Failed", inApp, refused), pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other"}}},
		"an earlier pod of this name":    {event: withUID(event(1, "Failed", inApp, refused), "u0")},
		"another kind":                   {event: withKind(event(1, "Failed", inApp, refused), "ReplicaSet")},
		"an unknown container":           {event: event(1, "Failed", "spec.containers{gone}", refused)},
		"a sandbox by the old name":      {event: event(1, "Failed", "implicitly required container POD", refused)},
		"an image that it had before":    {event: event(1, "Failed", inApp, `Failed to pull image "gcr.io/acme/old:1": not found`), why: "the image was changed since"},
		"a crash":                        {event: event(1, "BackOff", inApp, "Back-off restarting failed container app in pod cart_shop(u1)")},
		"a missing secret":               {event: event(1, "Failed", inApp, `Error: secret "creds" not found`)},
		"a container that can't be made": {event: event(1, "Failed", inApp, "Error: context deadline exceeded")},
		"a warning":                      {event: event(1, "FailedToRetrieveImagePullSecret", "", "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.")},
		"a good pull":                    {event: event(1, "Pulled", inApp, `Successfully pulled image "`+google1+`" in 2s`)},
		"an event without a time":        {event: &corev1.Event{InvolvedObject: event(1, "", inApp, "").InvolvedObject, Reason: "Failed", Message: refused}},
		"of a run that is over":          {event: event(1, "Failed", inApp, refused), pod: finishedCart()},

		"older than the run":           {event: event(1, "Failed", inApp, refused), pod: cart(running("app", 2))},
		"in the second of the start":   {event: event(2, "Failed", inApp, refused), pod: cart(running("app", 2))},
		"newer than the run":           {event: event(3, "Failed", inApp, refused), pod: cart(running("app", 2)), want: app("ErrImagePull", refused), why: "its image is to be pulled again"},
		"after the last run":           {event: event(9, "Failed", inApp, refused), pod: cart(corev1.ContainerStatus{Name: "app", State: corev1.ContainerState{Terminated: ended(2, 8)}}), want: app("ErrImagePull", refused)},
		"before the last run":          {event: event(1, "Failed", inApp, refused), pod: cart(corev1.ContainerStatus{Name: "app", State: corev1.ContainerState{Terminated: ended(2, 8)}})},
		"before a run that crashed":    {event: event(1, "Failed", inApp, refused), pod: cart(crashing("app", ended(2, 8)))},
		"when another container runs":  {event: event(1, "Failed", inApp, refused), pod: cart(running("side", 2)), want: app("ErrImagePull", refused)},
		"seen again in a series of it": {event: inSeries(event(1, "Failed", inApp, refused), 5), pod: cart(running("app", 2)), want: app("ErrImagePull", refused)},
		"told in the new way":          {event: eventTime(event(1, "Failed", inApp, refused), 5), pod: cart(running("app", 2)), want: app("ErrImagePull", refused)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := tc.pod
			if pod == nil {
				pod = cart()
			}
			got, ok := FromEvent(pod, tc.event)
			if diff := cmp.Diff(tc.want, got); diff != "" || ok != (tc.want != Failure{}) {
				t.Errorf("found %v (-want +got) %s\n%s", ok, tc.why, diff)
			}
		})
	}
	if _, ok := FromEvent(nil, event(1, "Failed", inApp, refused)); ok {
		t.Error("no pod has a failure")
	}
}

func TestFromEventOfSandbox(t *testing.T) {
	tests := map[string]struct {
		message string
		pod     *corev1.Pod
		image   string
		want    Cause // Empty: no failed pull.
	}{
		"containerd":                {message: noSandbox, image: "us-central1-docker.pkg.dev/acme-prod/services/pause:3.10", want: PermissionDenied},
		"docker":                    {message: `Failed to create pod sandbox: rpc error: code = Unknown desc = failed pulling image "registry.example/pause:3.6": Error response from daemon: Get "https://registry.example/v2/": dial tcp 10.0.0.1:443: i/o timeout`, image: "registry.example/pause:3.6", want: Network},
		"CRI-O":                     {message: `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to pull image "registry.example/pause:3.9": initializing source docker://registry.example/pause:3.9: reading manifest 3.9 in registry.example/pause: manifest unknown`, image: "registry.example/pause:3.9", want: ImageNotFound},
		"a network":                 {message: `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "5f": plugin type="calico" failed (add): connection is unauthorized: Unauthorized`},
		"a time-out":                {message: "Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = context deadline exceeded"},
		"a taken name":              {message: `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to reserve sandbox name "a": name "a" is reserved for "5f"`},
		"before a container ran":    {message: noSandbox, pod: cart(running("app", 6))},
		"before the sandbox stood":  {message: noSandbox, pod: ready(cart(), 6)},
		"when a later one is to be": {message: noSandbox, pod: ready(cart(), 4), image: "us-central1-docker.pkg.dev/acme-prod/services/pause:3.10", want: PermissionDenied},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := tc.pod
			if pod == nil {
				pod = cart()
			}
			got, ok := FromEvent(pod, event(5, "FailedCreatePodSandBox", "", tc.message))
			want := Failure{}
			if tc.want != "" {
				want = Failure{Role: Sandbox, SandboxImage: tc.image, Reason: "FailedCreatePodSandBox", Message: tc.message}
			}
			if diff := cmp.Diff(want, got); diff != "" || ok != (tc.want != "") {
				t.Fatalf("found %v (-want +got)\n%s", ok, diff)
			}
			if !ok {
				return
			}
			if v := Classify(Text{Message: got.Message, Image: got.Image, Reason: got.Reason}); v.Cause != tc.want || v.Repairable() {
				t.Errorf("%+v, want %s, which no grant heals", v, tc.want)
			}
		})
	}
}

func withUID(e *corev1.Event, uid types.UID) *corev1.Event {
	e.InvolvedObject.UID = uid
	return e
}

func withKind(e *corev1.Event, kind string) *corev1.Event {
	e.InvolvedObject.Kind = kind
	return e
}

func inSeries(e *corev1.Event, minutes int) *corev1.Event {
	e.Series = &corev1.EventSeries{Count: 2, LastObservedTime: metav1.NewMicroTime(at(minutes).Time)}
	return e
}

// eventTime is how events.k8s.io dates an event that was seen once.
func eventTime(e *corev1.Event, minutes int) *corev1.Event {
	e.FirstTimestamp, e.LastTimestamp, e.EventTime = metav1.Time{}, metav1.Time{}, metav1.NewMicroTime(at(minutes).Time)
	return e
}

func finishedCart() *corev1.Pod {
	pod := cart()
	pod.Status.Phase = corev1.PodFailed
	return pod
}

func crashing(name string, last *corev1.ContainerStateTerminated) corev1.ContainerStatus {
	status := waiting(name, "CrashLoopBackOff", "back-off 5m0s restarting failed container")
	status.LastTerminationState.Terminated = last
	return status
}

func ready(pod *corev1.Pod, since int) *corev1.Pod {
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue, LastTransitionTime: at(since)}}
	return pod
}

// TestEventReasons: whoever selects events by these reasons hears of every failure
// that an Event alone can tell of, and of nothing that never is one.
func TestEventReasons(t *testing.T) {
	told := map[string]*corev1.Event{
		"Failed":                 event(1, "Failed", inApp, refused),
		"InspectFailed":          event(1, "InspectFailed", inApp, `Failed to inspect image "": rpc error: code = Unknown desc = x`),
		"ErrImageNeverPull":      event(1, "ErrImageNeverPull", inApp, `Container image "`+google1+`" is not present with pull policy of Never`),
		"FailedCreatePodSandBox": event(1, "FailedCreatePodSandBox", "", noSandbox),
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(told)), slices.Sorted(slices.Values(EventReasons()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, reason := range EventReasons() {
		if _, ok := FromEvent(cart(), told[reason]); !ok {
			t.Errorf("an event of reason %s tells of nothing", reason)
		}
	}
}
