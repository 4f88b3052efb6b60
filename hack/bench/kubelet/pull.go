// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/tools/reference"

	"github.com/pull-access/pull-access-operator/hack/pulltext"
)

// eventsPerSecond and eventsBurst are what one kubelet sends at the most.
const eventsPerSecond, eventsBurst = 50, 100

// play gives each node its source of Events, with client-go's own aggregation and limits.
func (k *Kubelets) play(ctx context.Context) error {
	httpClient, err := rest.HTTPClientFor(k.options.Config)
	if err != nil {
		return err
	}
	for _, node := range k.options.Nodes {
		config := rest.CopyConfig(k.options.Config)
		config.QPS, config.Burst = eventsPerSecond, eventsBurst
		client, err := typedcorev1.NewForConfigAndClient(config, httpClient)
		if err != nil {
			return err
		}
		broadcaster := record.NewBroadcaster(record.WithContext(ctx))
		broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.Events("")})
		k.nodes[node.Name] = played{
			account:  node.Account,
			recorder: broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: node.Name}),
		}
	}
	return nil
}

// advance tries the pull that is due, or reports that the next one is waited for.
func (k *Kubelets) advance(ctx context.Context, pod *corev1.Pod, rec *podRecord) (time.Duration, error) {
	node, err := k.nodeOf(pod)
	if err != nil {
		return 0, err
	}
	now := metav1.NewTime(k.options.Clock.Now())
	tell := func(kind, reason, format string, args ...any) {
		for i := range pod.Spec.Containers {
			node.recorder.Eventf(container(pod, i), kind, reason, format, args...)
		}
	}
	image := pod.Spec.Containers[0].Image
	if rec.waits {
		tell(corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", image)
		tell(corev1.EventTypeWarning, "Failed", "Error: %s", imagePullBackOff)
		if err := k.write(ctx, pod, waiting(pod, imagePullBackOff, now)); err != nil {
			return 0, err
		}
		wait := later(rec.wait)
		k.set(func() { rec.waits, rec.wait, rec.until = false, min(2*rec.wait, longestBackoff), now.Add(wait) })
		return wait, nil
	}
	tell(corev1.EventTypeNormal, "Pulling", "Pulling image %q", image)
	if k.options.Pulls(image, node.account) {
		tell(corev1.EventTypeNormal, "Pulled", "Successfully pulled image %q", image)
		tell(corev1.EventTypeNormal, "Started", "Container started")
		if err := k.write(ctx, pod, Running(pod, now)); err != nil {
			return 0, err
		}
		k.set(func() { rec.running = true })
		return 0, nil
	}
	tell(corev1.EventTypeWarning, "Failed", "Failed to pull image %q: %s", image, pulltext.Refused(image))
	tell(corev1.EventTypeWarning, "Failed", "Error: %s", errImagePull)
	if err := k.write(ctx, pod, waiting(pod, errImagePull, now)); err != nil {
		return 0, err
	}
	k.noteFailure(pod, rec)
	return toBackoff, nil
}

// noteFailure is for what has just been written.
func (k *Kubelets) noteFailure(pod *corev1.Pod, rec *podRecord) {
	at := k.options.Clock.Now()
	k.first.CompareAndSwap(nil, &at)
	if !rec.failed && k.options.Failed != nil {
		k.options.Failed(keyOf(pod), at)
	}
	k.set(func() { rec.waits, rec.failed, rec.until = true, true, at.Add(toBackoff) })
}

func later(wait time.Duration) time.Duration {
	return wait + time.Duration(rand.Float64()*jitter*float64(wait))
}

// write sends the pod's status. A pod that is gone is no error.
func (k *Kubelets) write(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	_, err = k.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	k.set(func() { k.counts.Statuses++ })
	return err
}

// remove lets go of a pod that is being deleted.
func (k *Kubelets) remove(ctx context.Context, pod *corev1.Pod) error {
	err := k.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: new(int64), Preconditions: metav1.NewUIDPreconditions(string(pod.UID)),
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// container names a container to Events, as kubelet does.
func container(pod *corev1.Pod, i int) *corev1.ObjectReference {
	ref, err := reference.GetPartialReference(scheme.Scheme, pod, fmt.Sprintf("spec.containers{%s}", pod.Spec.Containers[i].Name))
	if err != nil {
		// Only a type that the scheme does not know fails here, and Pod is known.
		return &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
	}
	return ref
}
