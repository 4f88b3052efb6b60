// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// failingPod is a pod that cannot pull from the grant's repository as its member.
type failingPod struct {
	pod   *corev1.Pod
	cause pullfailure.Cause
	// denied: it still is access that it lacks, as far as the text tells.
	denied bool
}

// byFailingRepository is the index of pending Pods by the resource names of the
// repositories that they cannot pull from.
const byFailingRepository = "failing.repository"

// failingPods lists them from the cache of pending Pods, by the workload that owns
// them. The pods are the cache's own: nothing of them may be changed.
func (r *Reconciler) failingPods(ctx context.Context, grant *v1alpha1.PullAccessGrant) (map[string][]failingPod, error) {
	var pods corev1.PodList
	on := client.MatchingFields{byFailingRepository: imageref.Of(grant.Spec.Repository).ResourceName()}
	if err := r.Client.List(ctx, &pods, on, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list failing pods: %w", err)
	}
	failing := map[string][]failingPod{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		ours, err := r.pullsAs(ctx, pod, grant.Spec.Member)
		if err != nil {
			return nil, err
		}
		if !ours || pod.DeletionTimestamp != nil {
			continue
		}
		owner, err := r.Owners.Of(ctx, pod)
		if err != nil {
			return nil, fmt.Errorf("find owner: %w", err)
		}
		cause := causeOn(pod, imageref.Of(grant.Spec.Repository))
		failing[workloadKey(owner)] = append(failing[workloadKey(owner)], failingPod{pod: pod, cause: cause, denied: stillDenied[cause]})
	}
	return failing, nil
}

// errPullerUnread says that a node's account could not be read just now: nothing
// is concluded without it.
var errPullerUnread = errors.New("the node's account is unreadable for now")

// pullsAs tells whether the pod's node pulls as member.
func (r *Reconciler) pullsAs(ctx context.Context, pod *corev1.Pod, member string) (bool, error) {
	puller, err := r.Nodes.Puller(ctx, r.Pullers, pod.Spec.NodeName)
	if err != nil {
		return false, err
	}
	if puller.State == diagnosis.Unknown && puller.Obstacle.Kind == diagnosis.Unavailable {
		return false, fmt.Errorf("node %s: %w", pod.Spec.NodeName, errPullerUnread)
	}
	return puller.Member() == member, nil
}

// observeLive reads the workload's pods on nodes of the member. It looks for the proof
// that pulling works: one that has started a container of the repository since the
// grant was asked for. A pod made since may have found the image on its node already;
// one that was there before has pulled it. And it looks for those that the cache of
// pending Pods does not hold: a container that once ran is stuck when its image is
// pulled again. Of a pod that is too large for the cache it looks whether it still fails.
func (r *Reconciler) observeLive(ctx context.Context, grant *v1alpha1.PullAccessGrant, w v1alpha1.Workload, v *view) error {
	return v.live.EachPod(ctx, r.Pods, w, func(pod *corev1.Pod) error {
		repository := imageref.Of(grant.Spec.Repository)
		cause := causeOn(pod, repository)
		large := failsUncached(pod, cause)
		started := hasStarted(pod, repository, grantstatus.AskedTime(grant))
		stuck := pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil && stillDenied[cause]
		if !started && !stuck && !large {
			return nil
		}
		ours, err := r.pullsAs(ctx, pod, grant.Spec.Member)
		if err != nil {
			return err
		}
		if (large || stuck) && ours {
			v.addLive(pod, cause, large)
			return nil
		}
		v.started = v.started || ours
		v.pulled = v.pulled || ours && pod.CreationTimestamp.Time.Before(grant.Status.GrantedTime.Time) && len(pod.Spec.ImagePullSecrets) == 0 &&
			hasStarted(pod, repository, grantstatus.WrittenTime(grant))
		return nil
	})
}

// addLive adds a stuck pod that the cache does not hold, or one that is too large for it.
func (v *view) addLive(pod *corev1.Pod, cause pullfailure.Cause, large bool) {
	switch {
	case large && lasting[cause]:
		v.other = cause
	case large:
		v.large = true
	default:
		// Keep only the bounded form, because many pods may be stuck. Skip a pod that is too large: the kubelet
		// retries its pulls.
		if kept := workload.Cached(pod); !workload.IsStub(kept) {
			v.stuck = append(v.stuck, kept)
		}
	}
}

// failsUncached tells whether the pod fails with the cause and the cache of pending Pods
// does not show it: the pod is too large.
func failsUncached(pod *corev1.Pod, cause pullfailure.Cause) bool {
	return pod.Status.Phase == corev1.PodPending && pod.DeletionTimestamp == nil && cause != "" && workload.IsStub(workload.Cached(pod))
}

// hasStarted tells whether the pod has started a container of the repository since
// then, for the first time or with its image asked for anew. In a pod that is no
// older, a container that has crashed since has started as well.
func hasStarted(pod *corev1.Pod, repository imageref.Repository, since time.Time) bool {
	references, always := images(pod), map[string]bool{}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		always[c.Name] = c.ImagePullPolicy == corev1.PullAlways // The kubelet asks the registry at each start.
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		image, err := imageref.Parse(references[status.Name])
		fresh := status.RestartCount == 0 || always[status.Name] || !pod.CreationTimestamp.Time.Before(since)
		if err != nil || image.Repository != repository || !fresh {
			continue
		}
		if startedIn(status.State, since) || startedIn(status.LastTerminationState, since) {
			return true
		}
	}
	return false
}

func startedIn(state corev1.ContainerState, since time.Time) bool {
	return state.Running != nil && !state.Running.StartedAt.Time.Before(since) ||
		state.Terminated != nil && !state.Terminated.StartedAt.Time.Before(since)
}

// images are the pod's image references by container, as its spec has them.
func images(pod *corev1.Pod) map[string]string {
	references := map[string]string{}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		references[c.Name] = c.Image
	}
	return references
}

// stillDenied are the causes under which a pod that was denied still counts as
// such: a back-off of an older kubelet holds no cause at all.
var stillDenied = map[pullfailure.Cause]bool{
	pullfailure.PermissionDenied: true,
	pullfailure.BackOff:          true,
}

// lasting are the causes that no access and no waiting ends.
var lasting = map[pullfailure.Cause]bool{
	pullfailure.ImageNotFound:      true,
	pullfailure.RepositoryNotFound: true,
	pullfailure.InvalidReference:   true,
	pullfailure.PlatformMismatch:   true,
	pullfailure.PolicyRejected:     true,
	pullfailure.CorruptContent:     true,
	pullfailure.NeverPull:          true,
}

// causeOn is why pod cannot pull from repository; a denial outweighs the rest.
func causeOn(pod *corev1.Pod, repository imageref.Repository) pullfailure.Cause {
	var cause pullfailure.Cause
	for _, f := range pullfailure.InPod(pod) {
		image, err := imageref.Parse(f.Image)
		if err != nil || image.Repository != repository {
			continue
		}
		if found := f.Classify().Cause; cause == "" || stillDenied[found] {
			cause = found
		}
	}
	return cause
}
