// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package source finds the pods that may be failing, and the kubelet's events
// about them: in a live cluster, or in a file that kubectl wrote. It judges
// nothing.
package source

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// Snapshot is what was found.
type Snapshot struct {
	// Pods may be failing: their status says so, or an event does.
	Pods []*corev1.Pod
	// Events are the kubelet's, by the pod that they are about.
	Events map[types.NamespacedName][]*corev1.Event
	// Reports are the operator's Events, by the pod that they are about.
	Reports map[types.NamespacedName][]*corev1.Event
	// Notes say what could not be read, one sentence each.
	Notes []string
}

// Workload is what a pod belongs to, as people know it.
type Workload struct {
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
}

// String is the workload as kubectl writes it.
func (w Workload) String() string { return strings.ToLower(w.Kind) + "/" + w.Name }

// WorkloadOf tells from the pod alone what it belongs to. The name of a
// Deployment's ReplicaSet ends with the hash that the pod carries as a label, so
// that nothing needs to be read, and a file tells as much as the cluster.
func WorkloadOf(p *corev1.Pod) Workload {
	w := Workload{Namespace: p.Namespace, Kind: podKind, Name: p.Name}
	owner := metav1.GetControllerOf(p)
	if owner == nil || owner.Kind == "Node" { // A static pod stands for itself.
		return w
	}
	w.Kind, w.Name = owner.Kind, owner.Name
	hash := p.Labels["pod-template-hash"]
	if deployment, ok := strings.CutSuffix(owner.Name, "-"+hash); ok && hash != "" && owner.Kind == "ReplicaSet" {
		w.Kind, w.Name = "Deployment", deployment
	}
	return w
}

// involvedPod names the pod that an event is about.
func involvedPod(e *corev1.Event) types.NamespacedName {
	return types.NamespacedName{Namespace: e.InvolvedObject.Namespace, Name: e.InvolvedObject.Name}
}

// Parallel bounds the reads that are under way at once, of the cluster as of the
// cloud: enough that the way there and back is not waited for pod by pod, and few
// enough that one person's question is no load.
const Parallel = 8

// byName is the order in which pods are told of.
func byName(a, b *corev1.Pod) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// failing tells whether the pod cannot pull, as far as is known of it.
func (s *Snapshot) failing(p *corev1.Pod) bool {
	return len(pullfailure.FromEvents(p, s.Events[client.ObjectKeyFromObject(p)])) > 0
}
