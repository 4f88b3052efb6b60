// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && node && linux

package e2e

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/hack/cluster/pause"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/hack/pulltext"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// writeTexts is for after a change of containerd's or kubelet's version, or of the faults.
var writeTexts = flag.Bool("write-texts", false, "write the texts of the faults down as test data of internal/pullfailure")

const (
	// textVersions is whose texts they are.
	textVersions = "2.4.2 (read from kubelet 1.37.2)"
	// badPause is a sandbox image that cannot be pulled.
	badPause = "registry.example.com/infra/refused-pause:1"
)

// otherFaults are those that are also played by a registry which is not Google's, to a pod with a credential for it.
var otherFaults = []gcpemulator.ImageFault{
	gcpemulator.TokenDenied, gcpemulator.ManifestDenied, gcpemulator.BlobDenied, gcpemulator.TagMissing, gcpemulator.ManifestRateLimited,
}

// TestFaultsThroughKubelet has kubelet and containerd meet each fault, a pod for each, all at once. No operator runs.
func TestFaultsThroughKubelet(t *testing.T) {
	l := newLab(t)
	image, err := pause.Image()
	if err != nil {
		t.Fatal(err)
	}
	l.image = image
	l.push(t, pauseImage)
	l.setFault(t, badPause, gcpemulator.TagMissing)
	l.start(t, node{name: "hollow"})
	l.startReal(t, node{name: "real"})
	l.startReal(t, node{name: "anonymous", anonymous: true})
	l.startRealWith(t, node{name: "no-sandbox"}, badPause)

	s := l.site(t, "faults", nodeProject)
	cases := s.faultCases(t)
	repulled := s.startRepull(t)
	sandboxless := faultPod("no-sandbox", "no-sandbox", s.image)
	own := s.startOwn(t, "real", "hollow")
	create(t, sandboxless)
	for _, tc := range cases {
		create(t, tc.pod)
	}

	var book pulltext.Book
	for _, tc := range cases {
		t.Run(tc.pod.Name, func(t *testing.T) {
			text := s.waitingText(t, tc)
			if err := text.Check(); err != nil {
				t.Error(err)
			}
			event := text
			event.Reason, event.Message = "Failed", s.eventText(t, tc.pod.Name, "Failed", "Failed to pull image")
			if err := event.Check(); err != nil {
				t.Error(err)
			}
			book.Add(text)
			book.Add(event)
		})
	}
	t.Run("repull", func(t *testing.T) { s.repullFails(t, repulled) })
	t.Run("sandbox", func(t *testing.T) {
		message := s.eventText(t, sandboxless.Name, "FailedCreatePodSandBox", "")
		wantCause(t, pullfailure.Text{Message: message, Reason: "FailedCreatePodSandBox"}, pullfailure.ImageNotFound)
		book.Add(pulltext.Text{Fault: gcpemulator.TagMissing, Image: badPause, Reason: "FailedCreatePodSandBox", Message: message})
	})
	for _, pod := range own {
		t.Run(pod.Name, func(t *testing.T) { s.runs(t, pod) })
	}
	t.Run("kubelet", func(t *testing.T) { s.kubeletRefuses(t) })
	t.Run("two-credentials", func(t *testing.T) { s.bothRefused(t, "real", "hollow") })
	if *writeTexts && !t.Failed() {
		dir := filepath.Join(shared.root, "internal", "pullfailure", "testdata", "kubelet")
		if err := book.Write(dir, textVersions); err != nil {
			t.Error(err)
		}
	}
}

// faultCase is a pod whose image has a fault.
type faultCase struct {
	fault gcpemulator.ImageFault
	pod   *corev1.Pod
}

func (s *site) faultCases(t *testing.T) []faultCase {
	t.Helper()
	const secret = "other-registry"
	s.pullSecret(t, secret, "registry.example.com", "oauth2accesstoken", s.cloud.Token(nodeAccount))
	var cases []faultCase
	for _, fault := range gcpemulator.ImageFaults() {
		node := "real"
		if fault.Anonymous() {
			node = "anonymous"
		}
		image, ok := pulltext.OtherImage(fault)
		if fault == gcpemulator.ConnectionSilent || fault == gcpemulator.HandshakeSilent {
			// Google's name would have kubelet wait twice, for it has the node's credential by two patterns.
			cases = append(cases, faultCase{fault, faultPod(string(fault), node, image)})
			continue
		}
		cases = append(cases, faultCase{fault, faultPod(string(fault), node, pulltext.GoogleImage(fault))})
		if ok && slices.Contains(otherFaults, fault) {
			pod := faultPod("other-"+string(fault), "real", image)
			usePullSecret(pod, secret)
			cases = append(cases, faultCase{fault, pod})
		}
	}
	for _, tc := range cases {
		tc.pod.Namespace = s.namespace
		s.setFault(t, tc.pod.Spec.Containers[0].Image, tc.fault)
	}
	return cases
}

// faultPod is a pod in the host's network: what it costs beyond its pull is of no interest.
func faultPod(name, node, image string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "faults"},
		Spec: corev1.PodSpec{
			NodeName: node, HostNetwork: true, TerminationGracePeriodSeconds: ptr.To[int64](0),
			AutomountServiceAccountToken: ptr.To(false),
			Containers:                   []corev1.Container{{Name: "app", Image: image}},
		},
	}
}

// usePullSecret has a pod pull with a secret. The pod mounts it too: kubelet pulls without a pull secret that it has not
// received within a second, but starts no container before its volumes are there.
func usePullSecret(pod *corev1.Pod, secret string) {
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: secret}}
	pod.Spec.Volumes = []corev1.Volume{{
		Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}},
	}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "secret", MountPath: "/secret", ReadOnly: true}}
}

func (l *lab) setFault(t *testing.T, image string, fault gcpemulator.ImageFault) {
	t.Helper()
	if err := l.cloud.SetImageFault(image, fault); err != nil {
		t.Fatal(err)
	}
}

func (s *site) pullSecret(t *testing.T, name, host, user, password string) {
	t.Helper()
	config := fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, host, user, password)
	create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: []byte(config)},
	})
}

// waitingText waits for the pod to say why its image is not there.
func (s *site) waitingText(t *testing.T, tc faultCase) pulltext.Text {
	t.Helper()
	text := pulltext.Text{Fault: tc.fault, Image: tc.pod.Spec.Containers[0].Image}
	state := s.waiting(t, tc.pod.Name)
	text.Reason, text.Message = state.Reason, state.Message
	return text
}

// waiting waits until kubelet has tried to pull the pod's image, and returns what the container's state then is.
func (s *site) waiting(t *testing.T, pod string) *corev1.ContainerStateWaiting {
	t.Helper()
	var state *corev1.ContainerStateWaiting
	eventually(t, "pod "+pod+" cannot pull", func(ctx context.Context) (bool, any) {
		var found corev1.Pod
		if err := shared.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: pod}, &found); err != nil {
			return false, err
		}
		for _, status := range found.Status.ContainerStatuses {
			state = status.State.Waiting
		}
		return state != nil && state.Message != "", found.Status
	})
	return state
}

// eventText waits for kubelet's event about a pod, and returns its text.
func (s *site) eventText(t *testing.T, pod, reason, prefix string) string {
	t.Helper()
	var text string
	eventually(t, "event "+reason+" is on pod "+pod, func(ctx context.Context) (bool, any) {
		var list corev1.EventList
		if err := shared.client.List(ctx, &list, client.InNamespace(s.namespace)); err != nil {
			return false, err
		}
		for _, e := range list.Items {
			if e.InvolvedObject.Name == pod && e.Reason == reason && strings.HasPrefix(e.Message, prefix) {
				text = e.Message
				return true, nil
			}
		}
		return false, len(list.Items)
	})
	return text
}

func wantCause(t *testing.T, text pullfailure.Text, want pullfailure.Cause) {
	t.Helper()
	verdict := pullfailure.Classify(text)
	if verdict.Cause != want {
		t.Errorf("cause %s on %q, want %s: the text is\n%s", verdict.Cause, verdict.Evidence, want, text.Message)
	}
	if verdict.Repairable() && want != pullfailure.PermissionDenied {
		t.Errorf("the text is taken for one that a grant heals:\n%s", text.Message)
	}
}
