// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workload knows what owns a pod and how each kind is restarted.
//
// It serves the stages around the grant: the failure stage asks who owns a
// stuck pod, the restart stage brings that owner's pods back. It decides
// neither whether nor when.
package workload

import (
	"cmp"
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Kinds of workloads. Pods of every other kind of owner stand for themselves.
const (
	Deployment  = "Deployment"
	StatefulSet = "StatefulSet"
	DaemonSet   = "DaemonSet"
	ReplicaSet  = "ReplicaSet"
	Pod         = "Pod"
)

const (
	// ownersKept bounds how many ReplicaSets are remembered.
	ownersKept = 4096
	// ownersFor is how long; a ReplicaSet hardly ever changes its owner.
	ownersFor = 10 * time.Minute
	// maxUID is longer than a UUID, and no longer than what a record takes.
	maxUID = 64
)

// Owners finds the owners of pods. Safe for concurrent use.
type Owners struct {
	live  client.Reader
	known *cache.LRUExpireCache
}

// ownerKey identifies a ReplicaSet. Users write owner references, so neither the UID nor
// the name alone identifies an object.
type ownerKey struct {
	namespace, name string
	uid             types.UID
}

// NewOwners reads through live, which should not be a cache: only the
// ReplicaSets of failing pods are of interest.
func NewOwners(live client.Reader) *Owners {
	return &Owners{live: live, known: cache.NewLRUExpireCache(ownersKept)}
}

// Of returns what owns pod, where that is a kind that may be restarted: the
// Deployment behind its ReplicaSet, a StatefulSet or a DaemonSet. For every other
// owner, and for none, it is the pod itself. An owner is always one of the pod's own
// namespace.
func (o *Owners) Of(ctx context.Context, pod *corev1.Pod) (v1alpha1.Workload, error) {
	itself := v1alpha1.Workload{Kind: Pod, Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
	controller := controllerOf(pod)
	switch {
	case controller == nil || !followedKind(controller):
		return itself, nil
	case controller.Kind != ReplicaSet:
		return fromReference(pod.Namespace, controller), nil
	}
	key := ownerKey{namespace: pod.Namespace, name: controller.Name, uid: controller.UID}
	if known, ok := o.known.Get(key); ok {
		if workload, ok := known.(v1alpha1.Workload); ok {
			return cmp.Or(workload, itself), nil
		}
	}
	set := metav1.PartialObjectMetadata{}
	set.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind(ReplicaSet))
	err := o.live.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: controller.Name}, &set)
	if apierrors.IsNotFound(err) || err == nil && set.UID != controller.UID {
		return itself, nil
	}
	if err != nil {
		return v1alpha1.Workload{}, fmt.Errorf("read ReplicaSet %s/%s: %w", pod.Namespace, controller.Name, err)
	}
	var owner v1alpha1.Workload
	if above := controllerOf(&set); above != nil && above.Kind == Deployment && above.APIVersion == appsv1.SchemeGroupVersion.String() {
		owner = fromReference(pod.Namespace, above)
	}
	o.known.Add(key, owner, ownersFor)
	return cmp.Or(owner, itself), nil
}

// followedKind reports whether the owner is a workload that may be restarted, or leads to
// one.
func followedKind(owner *metav1.OwnerReference) bool {
	return owner.APIVersion == appsv1.SchemeGroupVersion.String() &&
		(owner.Kind == ReplicaSet || owner.Kind == StatefulSet || owner.Kind == DaemonSet)
}

// controllerOf is nil also for a reference that is longer than any object's names. The API
// server takes those, but a grant's record has no place for them.
func controllerOf(object metav1.Object) *metav1.OwnerReference {
	ref := metav1.GetControllerOf(object)
	if ref == nil || len(ref.Name) > validation.DNS1123SubdomainMaxLength || len(ref.UID) > maxUID {
		return nil
	}
	return ref
}

func fromReference(namespace string, ref *metav1.OwnerReference) v1alpha1.Workload {
	return v1alpha1.Workload{Kind: ref.Kind, Namespace: namespace, Name: ref.Name, UID: ref.UID}
}
