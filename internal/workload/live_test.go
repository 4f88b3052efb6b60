// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

func TestRead(t *testing.T) {
	type flags struct{ template, paused, scaled, ordered bool }
	tests := map[string]struct {
		kind   string
		object client.Object
		want   flags
	}{
		"Deployment": {Deployment, &appsv1.Deployment{ObjectMeta: named("x")}, flags{template: true, scaled: true}},
		"paused Deployment": {
			Deployment, &appsv1.Deployment{ObjectMeta: named("x"), Spec: appsv1.DeploymentSpec{Paused: true, Replicas: ptr.To[int32](2)}},
			flags{template: true, paused: true, scaled: true},
		},
		"Deployment scaled to zero": {
			Deployment, &appsv1.Deployment{ObjectMeta: named("x"), Spec: appsv1.DeploymentSpec{Replicas: ptr.To[int32](0)}}, flags{template: true},
		},
		"StatefulSet": {StatefulSet, &appsv1.StatefulSet{ObjectMeta: named("x")}, flags{template: true, scaled: true, ordered: true}},
		"parallel StatefulSet": {
			StatefulSet, &appsv1.StatefulSet{ObjectMeta: named("x"), Spec: appsv1.StatefulSetSpec{PodManagementPolicy: appsv1.ParallelPodManagement}},
			flags{template: true, scaled: true},
		},
		"StatefulSet by hand": {
			StatefulSet, &appsv1.StatefulSet{ObjectMeta: named("x"), Spec: appsv1.StatefulSetSpec{
				UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
			}},
			flags{template: true, paused: true, scaled: true, ordered: true},
		},
		"StatefulSet scaled to zero": {
			StatefulSet, &appsv1.StatefulSet{ObjectMeta: named("x"), Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](0)}},
			flags{template: true, ordered: true},
		},
		"DaemonSet": {DaemonSet, &appsv1.DaemonSet{ObjectMeta: named("x")}, flags{template: true, scaled: true}},
		"DaemonSet by hand": {
			DaemonSet, &appsv1.DaemonSet{ObjectMeta: named("x"), Spec: appsv1.DaemonSetSpec{
				UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType},
			}},
			flags{template: true, paused: true, scaled: true},
		},
		"Pod": {Pod, &corev1.Pod{ObjectMeta: named("x")}, flags{scaled: true}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, tc.object)
			live, err := Read(t.Context(), s, workloadOf(tc.kind, "x"))
			if err != nil {
				t.Fatal(err)
			}
			if got := (flags{live.Template != nil, live.Paused, live.Scaled, live.Ordered}); got != tc.want {
				t.Errorf("Read: %+v, want %+v", got, tc.want)
			}
			anyUID := workloadOf(tc.kind, "x")
			anyUID.UID = ""
			if _, err := Read(t.Context(), s, anyUID); err != nil {
				t.Errorf("Read without a UID: %v", err)
			}
			later := workloadOf(tc.kind, "x")
			later.UID = "uid-of-an-earlier-one"
			if _, err := Read(t.Context(), s, later); !errors.Is(err, ErrGone) {
				t.Errorf("Read of an earlier one of the name: %v, want ErrGone", err)
			}
		})
	}
}

func TestReadWhatIsNotThere(t *testing.T) {
	s := newServer(t)
	for _, w := range []v1alpha1.Workload{{}, workloadOf("Job", "x"), workloadOf(Deployment, "x"), workloadOf(Pod, "x")} {
		if _, err := Read(t.Context(), s, w); !errors.Is(err, ErrGone) {
			t.Errorf("Read(%+v): %v, want ErrGone", w, err)
		}
	}
	s.nextErr = errors.New("broken")
	if _, err := Read(t.Context(), s, workloadOf(Deployment, "x")); !errors.Is(err, s.nextErr) || errors.Is(err, ErrGone) {
		t.Errorf("Read: %v; what cannot be read is not gone", err)
	}
}

func TestPodsOfAWorkload(t *testing.T) {
	elsewhere := named("web")
	elsewhere.Namespace = "other"
	pods := []*corev1.Pod{{ObjectMeta: named("web")}, {ObjectMeta: named("api")}, {ObjectMeta: elsewhere}}
	deployment := &appsv1.Deployment{ObjectMeta: named("d"), Spec: appsv1.DeploymentSpec{Selector: selecting("web")}}
	s := newServer(t, deployment, pods[0], pods[1], pods[2])
	w := workloadOf(Deployment, "d")
	live, err := Read(t.Context(), s, w)
	if err != nil {
		t.Fatal(err)
	}
	if !live.Selects(pods[0]) || live.Selects(pods[1]) {
		t.Error("Selects does not follow the selector")
	}
	list := func(l Live, w v1alpha1.Workload) (got []corev1.Pod, err error) {
		err = l.EachPod(t.Context(), s, w, func(pod *corev1.Pod) error {
			got = append(got, *pod)
			return nil
		})
		return got, err
	}
	got, err := list(live, w)
	if err != nil || len(got) != 1 || got[0].UID != "uid-web" || got[0].Namespace != "shop" {
		t.Errorf("Pods = %d pods, %v; want shop/web", len(got), err)
	}
	s.nextErr = errors.New("broken")
	if _, err := list(live, w); !errors.Is(err, s.nextErr) {
		t.Errorf("Pods: %v", err)
	}
	single, err := list(Live{Object: pods[1]}, workloadOf(Pod, "api"))
	if err != nil || len(single) != 1 || single[0].UID != "uid-api" {
		t.Errorf("a pod's pods are %d, %v; want itself, unread", len(single), err)
	}
}

// TestNoSelectorSelectsNothing: the zero value and a broken one refuse.
func TestNoSelectorSelectsNothing(t *testing.T) {
	broken := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Sometimes"}}}
	for _, live := range []Live{{}, {selector: broken}} {
		if live.Selects(&corev1.Pod{ObjectMeta: named("web")}) {
			t.Errorf("%v selects a pod", live.selector)
		}
	}
	if err := (Live{selector: broken}).EachPod(t.Context(), newServer(t), workloadOf(Deployment, "d"), nil); err == nil {
		t.Error("a broken selector lists pods")
	}
}
