// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/demand"
)

// wantDemand wants so many pods to need the grant.
func (e *env) wantDemand(r *Reconciler, want int, why string) demand.Demand {
	e.Helper()
	needs, _ := r.Demand.Of(grantName)
	if len(needs.Claims) != want {
		e.Errorf("%d pods need the grant, want %d: %s", len(needs.Claims), want, why)
	}
	return needs
}

func TestPodNeedsItsGrant(t *testing.T) {
	e := newEnv(t)
	r := e.build()
	named := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.pod)}
	if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
		t.Fatal(err)
	}
	needs := e.wantDemand(r, 1, "it fails, and a policy allows the grant")
	if t.Failed() {
		return
	}
	claim := needs.Claims[0]
	if claim.Policy != "prod" || claim.Mode != v1alpha1.ModeEnforce || claim.Workload != deploymentNamed("web") || needs.Image != image || needs.Evidence == "" {
		t.Errorf("the need is %+v of %+v", claim, needs)
	}
	if _, err := r.reconcileNamed(t.Context(), named); err != nil {
		t.Fatal(err)
	}
	e.wantDemand(r, 0, "the pod is gone")

	if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
		t.Fatal(err)
	}
	e.wantDemand(r, 1, "it fails again")
	controllertest.InState(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}})(e.pod)
	if !r.mayNeed().Update(event.UpdateEvent{ObjectOld: e.pod, ObjectNew: e.pod}) {
		t.Error("the pod is not evaluated when it recovers")
	}
	if _, err := r.Reconcile(t.Context(), e.pod); err != nil {
		t.Fatal(err)
	}
	e.wantDemand(r, 0, "its image was pulled")
	if r.mayNeed().Update(event.UpdateEvent{ObjectOld: e.pod, ObjectNew: e.pod}) || r.mayNeed().Delete(event.DeleteEvent{Object: e.pod}) {
		t.Error("a healthy pod is evaluated")
	}
}

func TestDeniedPodNeedsNothing(t *testing.T) {
	e := newEnv(t)
	e.policy.Spec.Mode = v1alpha1.ModeDryRun
	r := e.build()
	if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
		t.Fatal(err)
	}
	e.wantDemand(r, 0, "the policy grants nothing")
}

// TestNeedOfAPodThatTheCacheDoesNotHold expires 10 minutes after the last live read that
// showed the failure.
func TestNeedOfAPodThatTheCacheDoesNotHold(t *testing.T) {
	pod := podOf("web", 0)
	controllertest.Failing("ErrImagePull", controllertest.Denial(image))(pod)
	e, r, live := liveEnv(t, pod)
	read := func() {
		t.Helper()
		stub := &corev1.Pod{}
		stub.Namespace, stub.Name = pod.Namespace, pod.Name
		if _, err := r.Reconcile(t.Context(), stub); err != nil {
			t.Fatal(err)
		}
	}
	read()
	e.wantDemand(r, 1, "the live read shows the failure")
	e.Step(liveNeedFor - time.Second)
	e.wantDemand(r, 1, "the read is recent")
	e.Step(time.Second)
	e.wantDemand(r, 0, "the read is old")
	read()
	e.wantDemand(r, 1, "it was read again")
	if err := live.Server.Delete(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	read()
	e.wantDemand(r, 0, "the pod is gone")
}

// TestFirstListIsEvaluated: nobody is said to need nothing before each failing pod of the
// first list was evaluated.
func TestFirstListIsEvaluated(t *testing.T) {
	e := newEnv(t)
	r := e.build()
	controllertest.Failing("ErrImagePull", controllertest.Denial(image))(e.pod)
	e.Create(e.pod)
	r.expect(t.Context())
	if _, absent := r.Demand.AbsentSince("another"); absent {
		t.Error("a grant counts as not needed before the pod was evaluated")
	}
	if _, err := r.reconcileNamed(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.pod)}); err != nil {
		t.Fatal(err)
	}
	if _, absent := r.Demand.AbsentSince("another"); !absent {
		t.Error("a grant does not count as not needed after the pod was evaluated")
	}
}
