// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

var now = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)

func ready(g *v1alpha1.PullAccessGrant) (metav1.ConditionStatus, string) {
	c := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil {
		return "", ""
	}
	return c.Status, c.Reason
}

func workloadNamed(name string) v1alpha1.Workload {
	return v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: name, UID: types.UID("uid-" + name)}
}

// TestTheWayOfAGrant follows one grant from its intent to recovery.
func TestTheWayOfAGrant(t *testing.T) {
	g := &v1alpha1.PullAccessGrant{Spec: v1alpha1.PullAccessGrantSpec{Workload: workloadNamed("web"), Policy: "p"}}
	if Granted(g) || Effective(g) || Interrupted(g) {
		t.Fatal("the zero grant claims to be something")
	}
	steps := []struct {
		name       string
		do         func()
		wantStatus metav1.ConditionStatus
		wantReason string
	}{
		{"joined", func() { Join(g, workloadNamed("web"), "p", now) }, metav1.ConditionUnknown, v1alpha1.ReasonGranting},
		{"intended", func() { Intend(g, true, "etag-1", now) }, metav1.ConditionFalse, v1alpha1.ReasonGranting},
		{"granted", func() { Grant(g, v1alpha1.OriginAdded, "etag-2", now) }, metav1.ConditionFalse, v1alpha1.ReasonWaitingForPropagation},
		{"restarting", func() { g.Status.Workloads[0].State = v1alpha1.WorkloadRestarting; Summarise(g) }, metav1.ConditionFalse, v1alpha1.ReasonRestarting},
		{"recovered", func() {
			MarkEffective(g, now)
			g.Status.Workloads[0].State = v1alpha1.WorkloadRecovered
			g.Status.RecoveredWorkloads++
			Summarise(g)
		}, metav1.ConditionTrue, v1alpha1.ReasonRecovered},
	}
	for _, step := range steps {
		step.do()
		if status, reason := ready(g); status != step.wantStatus || reason != step.wantReason {
			t.Errorf("%s: Ready is %s %s, want %s %s", step.name, status, reason, step.wantStatus, step.wantReason)
		}
		if got, want := Interrupted(g), step.name == "intended"; got != want {
			t.Errorf("%s: Interrupted = %v, want %v", step.name, got, want)
		}
	}
	if w := g.Status.Write; w.EtagBefore != "etag-1" || w.EtagAfter != "etag-2" || g.Status.Origin != v1alpha1.OriginAdded {
		t.Errorf("the record says %+v, origin %s", w, g.Status.Origin)
	}
}

func TestRefuseKeepsAnIntentOnlyWhileTheOutcomeIsOpen(t *testing.T) {
	for _, settled := range []bool{false, true} {
		g := &v1alpha1.PullAccessGrant{}
		Intend(g, true, "etag-1", now)
		Refuse(g, metav1.ConditionFalse, v1alpha1.ReasonCloudForbidden, "why", settled)
		if Interrupted(g) == settled {
			t.Errorf("settled %v leaves Interrupted %v", settled, Interrupted(g))
		}
	}
}

func TestFoundIsNotOurs(t *testing.T) {
	g := &v1alpha1.PullAccessGrant{}
	Grant(g, v1alpha1.OriginFound, "etag", now)
	if g.Status.Origin != v1alpha1.OriginFound || g.Status.Write != nil || !Granted(g) {
		t.Errorf("a member found there leaves %+v", g.Status)
	}
}

func TestIneffectiveDoesNotContradictAPullThatWorked(t *testing.T) {
	g := &v1alpha1.PullAccessGrant{}
	Grant(g, v1alpha1.OriginAdded, "etag", now)
	MarkIneffective(g, now)
	if !meta.IsStatusConditionFalse(g.Status.Conditions, v1alpha1.ConditionEffective) {
		t.Error("MarkIneffective leaves Effective not False")
	}
	MarkEffective(g, now)
	MarkIneffective(g, now)
	if !meta.IsStatusConditionTrue(g.Status.Conditions, v1alpha1.ConditionEffective) {
		t.Error("a pull that worked does not make it Effective")
	}
}

func TestJoin(t *testing.T) {
	g := &v1alpha1.PullAccessGrant{}
	for i := range MaxWorkloads {
		if changed, joined := Join(g, workloadNamed(fmt.Sprint(i)), "p", now); !changed || !joined {
			t.Fatalf("workload %d: changed %v, joined %v", i, changed, joined)
		}
	}
	if changed, joined := Join(g, workloadNamed("7"), "p", now); changed || !joined {
		t.Errorf("joining twice: changed %v, joined %v", changed, joined)
	}
	if changed, joined := Join(g, workloadNamed("late"), "p", now); changed || joined {
		t.Errorf("a full list took one more: changed %v, joined %v", changed, joined)
	}
	g.Status.Workloads[5].State = v1alpha1.WorkloadRecovered
	if _, joined := Join(g, workloadNamed("late"), "p", now); !joined || len(g.Status.Workloads) != MaxWorkloads {
		t.Errorf("room was not made: joined %v, %d workloads", joined, len(g.Status.Workloads))
	}
	if index(g, workloadNamed("5")) >= 0 {
		t.Error("the recovered workload still is on the list")
	}
	g.Status.Workloads[index(g, workloadNamed("8"))].State = v1alpha1.WorkloadRecovered
	g.Status.RecoveredWorkloads = 1
	if changed, _ := Join(g, workloadNamed("8"), "p", now); !changed || g.Status.Workloads[index(g, workloadNamed("8"))].State != v1alpha1.WorkloadWaiting || g.Status.RecoveredWorkloads != 0 {
		t.Error("a workload that fails again after it had recovered is not taken up")
	}
	again := workloadNamed("7")
	again.UID = "another"
	if changed, _ := Join(g, again, "p", now); !changed || g.Status.Workloads[index(g, again)].UID != "another" {
		t.Error("a workload made anew under the same name was taken for the old one")
	}
}

// TestPodsDoNotCrowdOut: whoever may make pods cannot keep Deployments off the record.
func TestPodsDoNotCrowdOut(t *testing.T) {
	g := &v1alpha1.PullAccessGrant{}
	for i := range 2 * MaxWorkloads {
		pod := workloadNamed(fmt.Sprint("pod-", i))
		pod.Kind = "Pod"
		if _, joined := Join(g, pod, "p", now); !joined {
			t.Fatalf("pod %d has to come back, though nothing would be done for it", i)
		}
	}
	if _, joined := Join(g, workloadNamed("web"), "p", now); !joined || index(g, workloadNamed("web")) < 0 {
		t.Error("a Deployment found no room among the pods")
	}
}
