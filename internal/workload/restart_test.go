// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// at has a fraction of a second, which the annotation cannot hold.
var at = time.Date(2026, 11, 1, 4, 30, 0, 5e8, time.FixedZone("", 3600))

const atAsWritten = "2026-11-01T03:30:00Z"

func read(t *testing.T, s *server, kind string) Live {
	t.Helper()
	live, err := Read(t.Context(), s, workloadOf(kind, "x"))
	if err != nil {
		t.Fatal(err)
	}
	return live
}

func TestRolloutRestart(t *testing.T) {
	tests := map[string]struct {
		kind    string
		object  client.Object
		changed bool
		want    string
		why     string
	}{
		"Deployment": {
			kind: Deployment, object: &appsv1.Deployment{ObjectMeta: named("x"), Spec: appsv1.DeploymentSpec{Template: templateWith("")}},
			changed: true, want: atAsWritten,
		},
		"Deployment without annotations": {
			kind: Deployment, object: &appsv1.Deployment{ObjectMeta: named("x")}, changed: true, want: atAsWritten,
		},
		"StatefulSet": {
			kind: StatefulSet, object: &appsv1.StatefulSet{ObjectMeta: named("x"), Spec: appsv1.StatefulSetSpec{Template: templateWith("")}},
			changed: true, want: atAsWritten,
		},
		"DaemonSet": {
			kind: DaemonSet, object: &appsv1.DaemonSet{ObjectMeta: named("x"), Spec: appsv1.DaemonSetSpec{Template: templateWith("")}},
			changed: true, want: atAsWritten,
		},
		"restarted before": {
			kind: Deployment, object: &appsv1.Deployment{ObjectMeta: named("x"), Spec: appsv1.DeploymentSpec{Template: templateWith("2026-11-01T03:29:59Z")}},
			changed: true, want: atAsWritten,
		},
		"no time": {
			kind: Deployment, object: &appsv1.Deployment{ObjectMeta: named("x"), Spec: appsv1.DeploymentSpec{Template: templateWith("lately")}},
			changed: true, want: atAsWritten,
		},
		"restarted then": {
			kind: Deployment, object: &appsv1.Deployment{ObjectMeta: named("x"), Spec: appsv1.DeploymentSpec{Template: templateWith(atAsWritten)}},
			want: atAsWritten,
		},
		"restarted since by somebody else": {
			kind: Deployment, object: &appsv1.Deployment{ObjectMeta: named("x"), Spec: appsv1.DeploymentSpec{Template: templateWith("2026-11-01T06:00:00+02:00")}},
			want: "2026-11-01T06:00:00+02:00", why: "whoever restarted it, it is done",
		},
		"paused": {
			kind: Deployment, object: &appsv1.Deployment{ObjectMeta: named("x"), Spec: appsv1.DeploymentSpec{Paused: true, Template: templateWith("")}},
		},
		"Pod": {kind: Pod, object: &corev1.Pod{ObjectMeta: named("x")}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, tc.object)
			before := read(t, s, tc.kind)
			changed, err := RolloutRestart(t.Context(), s, read(t, s, tc.kind), at)
			if err != nil || changed != tc.changed {
				t.Fatalf("RolloutRestart = %v, %v; want %v (%s)", changed, err, tc.changed, tc.why)
			}
			after := read(t, s, tc.kind)
			if same := before.Object.GetResourceVersion() == after.Object.GetResourceVersion(); same == tc.changed {
				t.Errorf("the object was written: %v, want %v (%s)", !same, tc.changed, tc.why)
			}
			if after.Template == nil {
				return
			}
			if got := after.Template.Annotations[RestartedAt]; got != tc.want {
				t.Errorf("the annotation is %q, want %q (%s)", got, tc.want, tc.why)
			}
			delete(before.Template.Annotations, RestartedAt)
			delete(after.Template.Annotations, RestartedAt)
			if len(after.Template.Annotations) == 0 {
				after.Template.Annotations = before.Template.Annotations
			}
			if diff := cmp.Diff(before.Template, after.Template); diff != "" {
				t.Errorf("the template beside it (-before +after):\n%s", diff)
			}
			if changed, err := RolloutRestart(t.Context(), s, read(t, s, tc.kind), at); changed || err != nil {
				t.Errorf("repeated with the same time, RolloutRestart = %v, %v", changed, err)
			}
		})
	}
}

// TestRolloutRestartIsNotForAnotherState: what changed since it was read may be
// the pause, the scale or the image.
func TestRolloutRestartIsNotForAnotherState(t *testing.T) {
	s := newServer(t, &appsv1.Deployment{ObjectMeta: named("x")})
	stale := read(t, s, Deployment)
	paused, ok := read(t, s, Deployment).Object.(*appsv1.Deployment)
	if !ok {
		t.Fatal("a Deployment is read as something else")
	}
	paused.Spec.Paused = true
	if err := s.Update(t.Context(), paused); err != nil {
		t.Fatal(err)
	}
	changed, err := RolloutRestart(t.Context(), s, stale, at)
	if changed || !apierrors.IsConflict(err) {
		t.Errorf("RolloutRestart = %v, %v; want a conflict", changed, err)
	}
	if got := read(t, s, Deployment).Template.Annotations[RestartedAt]; got != "" {
		t.Errorf("a paused Deployment was restarted at %s", got)
	}
}

func TestDeletePod(t *testing.T) {
	s := newServer(t, &corev1.Pod{ObjectMeta: named("x")})
	seen, ok := read(t, s, Pod).Object.(*corev1.Pod)
	if !ok {
		t.Fatal("a Pod is read as something else")
	}
	started := seen.DeepCopy()
	started.Labels["state"] = "started"
	if err := s.Update(t.Context(), started); err != nil {
		t.Fatal(err)
	}
	if err := DeletePod(t.Context(), s, seen); !apierrors.IsConflict(err) {
		t.Errorf("DeletePod of one that has started since: %v, want a conflict", err)
	}
	read(t, s, Pod)
	if err := DeletePod(t.Context(), s, started); err != nil {
		t.Errorf("DeletePod: %v", err)
	}
	want := s.deleted.Preconditions
	if want == nil || want.UID == nil || *want.UID != started.UID || want.ResourceVersion == nil || *want.ResourceVersion != started.ResourceVersion {
		t.Errorf("preconditions are %+v, want those of the pod that was seen", want)
	}
	if _, err := Read(t.Context(), s, workloadOf(Pod, "x")); !errors.Is(err, ErrGone) {
		t.Errorf("the pod after: %v, want ErrGone", err)
	}
	if err := DeletePod(t.Context(), s, started); err != nil {
		t.Errorf("DeletePod of one that is gone: %v", err)
	}
	s.nextErr = errors.New("broken")
	if err := DeletePod(t.Context(), s, started); !errors.Is(err, s.nextErr) {
		t.Errorf("DeletePod: %v", err)
	}
}
