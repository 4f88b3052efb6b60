// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/reference"
	"k8s.io/utils/ptr"

	"github.com/pull-access/pull-access-operator/hack/node/hollow/image"
)

const (
	reasonContainerCreating = "ContainerCreating"
	reasonPodInitializing   = "PodInitializing"
	reasonCompleted         = "Completed"
	reasonError             = "Error"
	// exitKilled is what a container shows that was ended by a signal.
	exitKilled = 137
)

// container is one container of a pod as the node runs it.
type container struct {
	// image is the image of the specification that the status belongs to.
	image  string
	status corev1.ContainerStatus
}

// kind says which list of the pod's specification a container stands in.
type kind string

const (
	initContainer      kind = "initContainers"
	appContainer       kind = "containers"
	ephemeralContainer kind = "ephemeralContainers"
)

// spec is what all kinds of containers have in common.
type spec struct {
	kind          kind
	name          string
	image         string
	policy        corev1.PullPolicy
	restartPolicy *corev1.ContainerRestartPolicy
}

// sidecar tells an init container that keeps running.
func (s spec) sidecar() bool {
	return s.kind == initContainer && s.restartPolicy != nil && *s.restartPolicy == corev1.ContainerRestartPolicyAlways
}

// runsOnce tells a container that has to end before the next may start.
func (s spec) runsOnce() bool {
	return s.kind == initContainer && !s.sidecar()
}

// specsOf lists a pod's containers in the order in which they are started.
func specsOf(pod *corev1.Pod) []spec {
	var all []spec
	for _, c := range pod.Spec.InitContainers {
		all = append(all, spec{initContainer, c.Name, c.Image, c.ImagePullPolicy, c.RestartPolicy})
	}
	for _, c := range pod.Spec.Containers {
		all = append(all, spec{appContainer, c.Name, c.Image, c.ImagePullPolicy, nil})
	}
	for _, c := range pod.Spec.EphemeralContainers {
		all = append(all, spec{ephemeralContainer, c.Name, c.Image, c.ImagePullPolicy, nil})
	}
	return all
}

// newContainer is a container that nothing was done about yet.
func newContainer(s spec, waitsForInit bool) *container {
	reason := reasonContainerCreating
	if waitsForInit {
		reason = reasonPodInitializing
	}
	return &container{image: s.image, status: corev1.ContainerStatus{
		Name:    s.name,
		Image:   s.image,
		Started: ptr.To(false),
		State:   corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
	}}
}

// advance brings a container as far as it gets: it makes sure of its image, then starts it. It returns when to look again,
// zero for never.
func (r *Runner) advance(ctx context.Context, pod *corev1.Pod, secrets []corev1.Secret, s spec, c *container) time.Duration {
	ref := containerReference(pod, s)
	switch {
	case c.status.State.Running != nil && c.image == s.image, c.status.State.Terminated != nil:
		return 0
	case c.status.State.Running != nil:
		r.recorder.Eventf(ref, corev1.EventTypeNormal, "Killing", "Container %s definition changed, will be restarted", s.name)
		c.end(0, reasonCompleted, r.now())
		c.status.LastTerminationState, c.status.State = c.status.State, corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reasonContainerCreating},
		}
		c.status.RestartCount++
	}
	c.image = s.image
	img, failure := r.images.Ensure(ctx, image.Request{
		Pod: pod.UID, Container: ref, Image: s.image, Policy: s.policy, Secrets: secrets,
	})
	if failure != nil {
		r.recorder.Eventf(ref, corev1.EventTypeWarning, "Failed", "Error: %s", failure.Reason)
		c.status.Image = s.image
		c.status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: failure.Reason, Message: failure.Message}}
		return failure.Retry
	}
	r.recorder.Event(ref, corev1.EventTypeNormal, "Created", "Container created")
	r.recorder.Event(ref, corev1.EventTypeNormal, "Started", "Container started")
	c.start(pod.UID, img, r.now())
	if s.runsOnce() {
		c.end(0, reasonCompleted, r.now())
		c.status.Ready = true
	}
	return 0
}

func (c *container) start(pod types.UID, img image.Image, now metav1.Time) {
	c.status.Image, c.status.ImageID = img.Name, img.RepoDigest
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", pod, c.status.Name, c.status.RestartCount))
	c.status.ContainerID = "containerd://" + hex.EncodeToString(sum[:])
	c.status.Started, c.status.Ready = ptr.To(true), true
	c.status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
}

// end stops a container, or settles the account of one that never ran.
func (c *container) end(code int32, reason string, now metav1.Time) {
	terminated := &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, FinishedAt: now, ContainerID: c.status.ContainerID,
	}
	if c.status.State.Running != nil {
		terminated.StartedAt = c.status.State.Running.StartedAt
	}
	c.status.State = corev1.ContainerState{Terminated: terminated}
	c.status.Started, c.status.Ready = ptr.To(false), false
}

// containerReference names the container to events, as kubelet does.
func containerReference(pod *corev1.Pod, s spec) *corev1.ObjectReference {
	ref, err := reference.GetPartialReference(scheme.Scheme, runtime.Object(pod), fmt.Sprintf("spec.%s{%s}", s.kind, s.name))
	if err != nil {
		// Only a type that the scheme does not know fails here, and Pod is known.
		return &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
	}
	return ref
}
