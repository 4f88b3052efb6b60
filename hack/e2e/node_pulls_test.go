// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && node && linux

package e2e

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// startRepull starts a pod that runs, and whose container kubelet will soon kill and want to start again.
func (s *site) startRepull(t *testing.T) *corev1.Pod {
	t.Helper()
	pod := faultPod("repull", "real", "registry.example.com/team/repull:1")
	s.push(t, pod.Spec.Containers[0].Image)
	pod.Spec.Containers[0].ImagePullPolicy = corev1.PullAlways
	pod.Spec.Containers[0].LivenessProbe = &corev1.Probe{
		ProbeHandler:        corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(1), Host: "127.0.0.1"}},
		InitialDelaySeconds: 1, PeriodSeconds: 1, FailureThreshold: 1,
	}
	create(t, pod)
	eventually(t, "the container has started", func(ctx context.Context) (bool, any) {
		err := shared.client.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		return err == nil && pod.Status.Phase == corev1.PodRunning, pod.Status
	})
	s.setFault(t, pod.Spec.Containers[0].Image, gcpemulator.ManifestUnavailable)
	return pod
}

// repullFails wants a pod that runs to tell of a pull that fails: it never becomes Pending.
func (s *site) repullFails(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	image := pod.Spec.Containers[0].Image
	message := s.eventText(t, pod.Name, "Failed", "Failed to pull image")
	wantCause(t, pullfailure.Text{Message: message, Image: image, Reason: "Failed"}, pullfailure.RegistryUnavailable)
	eventually(t, "the running pod waits for its image", func(ctx context.Context) (bool, any) {
		if err := shared.client.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return false, err
		}
		waiting := pod.Status.ContainerStatuses[0].State.Waiting
		if waiting == nil || waiting.Reason != "ErrImagePull" && waiting.Reason != "ImagePullBackOff" {
			return false, pod.Status
		}
		wantCause(t, pullfailure.Text{Message: waiting.Message, Image: image, Reason: waiting.Reason}, pullfailure.RegistryUnavailable)
		return true, nil
	})
	if pod.Status.Phase != corev1.PodRunning {
		t.Errorf("the pod's phase is %s, want Running", pod.Status.Phase)
	}
}

// startOwn starts a pod on each node, with a pull secret of an account that may read the repository, which the nodes' may not.
func (s *site) startOwn(t *testing.T, nodes ...string) []*corev1.Pod {
	t.Helper()
	const puller = "puller@" + nodeProject + ".iam.gserviceaccount.com"
	s.cloud.AddServiceAccount(puller)
	s.allow("serviceAccount:" + puller)
	s.pullSecret(t, "puller", googleHost, "oauth2accesstoken", s.cloud.Token(puller))
	var pods []*corev1.Pod
	for _, node := range nodes {
		pod := faultPod("own-credential-"+node, node, s.image)
		usePullSecret(pod, "puller")
		create(t, pod)
		pods = append(pods, pod)
	}
	return pods
}

func (s *site) runs(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	eventually(t, "pod "+pod.Name+" runs", func(ctx context.Context) (bool, any) {
		err := shared.client.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		return err == nil && isReady(pod), pod.Status
	})
}

// bothRefused has the pod's credential refused as none, and the node's for lack of a permission. The hollow node must say
// what the real one says.
func (s *site) bothRefused(t *testing.T, nodes ...string) {
	t.Helper()
	s.pullSecret(t, "wrong", googleHost, "_json_key", "emulated")
	image := googleHost + "/" + nodeProject + "/" + s.namespace + "/twice:1"
	said := map[string]bool{}
	for _, node := range nodes {
		pod := faultPod("two-credentials-"+node, node, image)
		usePullSecret(pod, "wrong")
		create(t, pod)
		message := strings.TrimPrefix(s.eventText(t, pod.Name, "Failed", "Failed to pull image"), "Failed to pull image ")
		wantWords(t, message, "[", "401 Unauthorized, ", "403 Forbidden]")
		wantCause(t, pullfailure.Text{Message: message, Image: image, Reason: "Failed"}, pullfailure.PermissionDenied)
		said[message] = true
	}
	if len(said) != 1 {
		t.Errorf("the nodes say different things: %v", slices.Sorted(maps.Keys(said)))
	}
}

// kubeletRefuses has kubelet say no before any registry is asked.
func (s *site) kubeletRefuses(t *testing.T) {
	t.Helper()
	never := faultPod("never", "real", "registry.example.com/team/never:1")
	never.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
	invalid := faultPod("invalid", "real", googleHost+"/"+nodeProject+"/Faults/app:1")
	create(t, never, invalid)
	for pod, want := range map[*corev1.Pod]pullfailure.Cause{
		never: pullfailure.NeverPull, invalid: pullfailure.InvalidReference,
	} {
		state := s.waiting(t, pod.Name)
		image := pod.Spec.Containers[0].Image
		wantCause(t, pullfailure.Text{Message: state.Message, Image: image, Reason: state.Reason}, want)
		wantCause(t, pullfailure.Text{Message: state.Message, Image: image}, want)
	}
}
