// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

func TestOwners(t *testing.T) {
	itself := v1alpha1.Workload{Kind: Pod, Namespace: "shop", Name: "web-1-x", UID: "uid-web-1-x"}
	other := controlledBy(named("web-1"), "apps/v1", Deployment, "web")
	other.UID = "uid-of-a-later-one"
	tests := map[string]struct {
		apiVersion, kind, name string
		set                    *metav1.ObjectMeta
		want                   v1alpha1.Workload
		reads                  int
		why                    string
	}{
		"Deployment by its ReplicaSet": {
			apiVersion: "apps/v1", kind: ReplicaSet, name: "web-1", set: metaOf(controlledBy(named("web-1"), "apps/v1", Deployment, "web")),
			want: workloadOf(Deployment, "web"), reads: 1, why: "a second pod reads nothing",
		},
		"a name that no object has": {
			apiVersion: "apps/v1", kind: StatefulSet, name: strings.Repeat("x", 254), want: itself, why: "the API server takes it, and no record does",
		},
		"ReplicaSet of a Deployment with such a name": {
			apiVersion: "apps/v1", kind: ReplicaSet, name: "web-1", want: itself, reads: 1,
			set: metaOf(controlledBy(named("web-1"), "apps/v1", Deployment, strings.Repeat("x", 254))),
		},
		"ReplicaSet that is gone": {apiVersion: "apps/v1", kind: ReplicaSet, name: "web-1", want: itself, reads: 2},
		"ReplicaSet with another UID": {
			apiVersion: "apps/v1", kind: ReplicaSet, name: "web-1", set: &other, want: itself, reads: 2,
			why: "a reference to what no longer is leads nowhere",
		},
		"ReplicaSet of its own": {
			apiVersion: "apps/v1", kind: ReplicaSet, name: "web-1", set: metaOf(named("web-1")), want: itself, reads: 1,
			why: "that there is no owner is remembered, too",
		},
		"ReplicaSet of a foreign Deployment": {
			apiVersion: "apps/v1", kind: ReplicaSet, name: "web-1",
			set: metaOf(controlledBy(named("web-1"), "apps.example.com/v1", Deployment, "web")), want: itself, reads: 1,
		},
		"ReplicaSet of another kind of the same group": {
			apiVersion: "apps/v1", kind: ReplicaSet, name: "web-1",
			set: metaOf(controlledBy(named("web-1"), "apps/v1", DaemonSet, "web")), want: itself, reads: 1,
		},
		"ReplicaSet of a Rollout": {
			apiVersion: "apps/v1", kind: ReplicaSet, name: "web-1",
			set: metaOf(controlledBy(named("web-1"), "argoproj.io/v1alpha1", "Rollout", "web")), want: itself, reads: 1,
		},
		"StatefulSet":         {apiVersion: "apps/v1", kind: StatefulSet, name: "db", want: workloadOf(StatefulSet, "db")},
		"DaemonSet":           {apiVersion: "apps/v1", kind: DaemonSet, name: "log", want: workloadOf(DaemonSet, "log")},
		"Job":                 {apiVersion: "batch/v1", kind: "Job", name: "once", want: itself},
		"foreign StatefulSet": {apiVersion: "apps.kruise.io/v1beta1", kind: StatefulSet, name: "db", want: itself, why: "the kind alone says nothing"},
		"no owner":            {want: itself},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			if tc.set != nil {
				s = newServer(t, &appsv1.ReplicaSet{ObjectMeta: *tc.set})
			}
			pod := &corev1.Pod{ObjectMeta: named("web-1-x")}
			if tc.kind != "" {
				pod.ObjectMeta = controlledBy(pod.ObjectMeta, tc.apiVersion, tc.kind, tc.name)
			}
			owners := NewOwners(s)
			for range 2 {
				if got, err := owners.Of(t.Context(), pod); err != nil || got != tc.want {
					t.Errorf("Of = %+v, %v; want %+v (%s)", got, err, tc.want, tc.why)
				}
			}
			if s.gets != tc.reads {
				t.Errorf("asked twice, it read %d times, want %d (%s)", s.gets, tc.reads, tc.why)
			}
		})
	}
}

func metaOf(meta metav1.ObjectMeta) *metav1.ObjectMeta { return &meta }

func TestOwnerThatOnlyRefersIsNoController(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: controlledBy(named("x"), "apps/v1", StatefulSet, "db")}
	pod.OwnerReferences[0].Controller = nil
	if got, err := NewOwners(newServer(t)).Of(t.Context(), pod); err != nil || got.Kind != Pod {
		t.Errorf("Of = %+v, %v; want the pod itself", got, err)
	}
}

// TestOwnersAreToldApart checks that a cached ReplicaSet does not serve another namespace,
// UID or name, because users write owner references.
func TestOwnersAreToldApart(t *testing.T) {
	set := func(namespace, name, uid, deployment string) *appsv1.ReplicaSet {
		meta := controlledBy(named(name), "apps/v1", Deployment, deployment)
		meta.Namespace, meta.UID = namespace, types.UID(uid)
		return &appsv1.ReplicaSet{ObjectMeta: meta}
	}
	podOf := func(namespace, name, uid string) *corev1.Pod {
		meta := controlledBy(named("x"), "apps/v1", ReplicaSet, name)
		meta.Namespace, meta.OwnerReferences[0].UID = namespace, types.UID(uid)
		return &corev1.Pod{ObjectMeta: meta}
	}
	s := newServer(t, set("shop", "web-1", "uid-1", "web"), set("evil", "web-2", "uid-2", "bad"))
	owners := NewOwners(s)
	steps := []struct {
		pod  *corev1.Pod
		want string
		why  string
	}{
		{podOf("shop", "web-1", "uid-1"), "Deployment shop/web", "it is remembered from here on"},
		{podOf("evil", "web-1", "uid-1"), "Pod evil/x", "the ReplicaSet belongs to another namespace"},
		{podOf("shop", "web-3", "uid-1"), "Pod shop/x", "no ReplicaSet has that name"},
		{podOf("evil", "web-2", "uid-2"), "Deployment evil/bad", "the namespace has a ReplicaSet of its own"},
	}
	check := func(pod *corev1.Pod, want, why string) {
		t.Helper()
		got, err := owners.Of(t.Context(), pod)
		if err != nil || got.Kind+" "+got.Namespace+"/"+got.Name != want {
			t.Errorf("Of = %+v, %v; want %s: %s", got, err, want, why)
		}
	}
	for _, step := range steps {
		check(step.pod, step.want, step.why)
	}
	if err := s.Delete(t.Context(), set("shop", "web-1", "uid-1", "web")); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), set("shop", "web-1", "uid-4", "other")); err != nil {
		t.Fatal(err)
	}
	check(podOf("shop", "web-1", "uid-4"), "Deployment shop/other", "a later ReplicaSet took the name")
}

func TestOwnerUnread(t *testing.T) {
	s := newServer(t, &appsv1.ReplicaSet{ObjectMeta: controlledBy(named("web-1"), "apps/v1", Deployment, "web")})
	s.nextErr = errors.New("broken")
	owners := NewOwners(s)
	pod := &corev1.Pod{ObjectMeta: controlledBy(named("web-1-x"), "apps/v1", ReplicaSet, "web-1")}
	if got, err := owners.Of(t.Context(), pod); !errors.Is(err, s.nextErr) || got != (v1alpha1.Workload{}) {
		t.Errorf("Of = %+v, %v", got, err)
	}
	s.nextErr = nil
	if got, err := owners.Of(t.Context(), pod); err != nil || got != workloadOf(Deployment, "web") {
		t.Errorf("after the trouble Of = %+v, %v; an error was remembered", got, err)
	}
}

func TestNodes(t *testing.T) {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{"cloud.google.com/gke-nodepool": "pool-1"}},
		Spec:       corev1.NodeSpec{ProviderID: "gce://acme/us-central1-a/node-1"},
	}
	s := newServer(t, node)
	nodes := NewNodes(s)
	check := func(name string, want diagnosis.Node, reads int) {
		t.Helper()
		s.gets = 0
		if got, err := nodes.Named(t.Context(), name); err != nil || got != want {
			t.Errorf("Named(%q) = %+v, %v; want %+v", name, got, err, want)
		}
		if s.gets != reads {
			t.Errorf("Named(%q) read %d times, want %d", name, s.gets, reads)
		}
	}
	there := diagnosis.Node{Name: "node-1", ProviderID: node.Spec.ProviderID, Pool: "pool-1"}
	check("", without("", "the pod has no node yet"), 0)
	check("node-1", there, 1)
	check("node-1", there, 0)
	check("node-2", without("node-2", "node node-2 is not there"), 1)
	check("node-2", without("node-2", "node node-2 is not there"), 1) // It may come yet: not remembered.
	s.nextErr = apierrors.NewForbidden(corev1.Resource("nodes"), "node-3", nil)
	check("node-3", without("node-3", "node node-3 may not be read"), 1)
	s.nextErr = errors.New("broken")
	if _, err := nodes.Named(t.Context(), "node-3"); !errors.Is(err, s.nextErr) {
		t.Errorf("Named: %v", err)
	}
}
