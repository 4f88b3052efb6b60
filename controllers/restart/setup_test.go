// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// delays is a queue that keeps how long each request is to wait.
type delays struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	added map[string]time.Duration
}

// AddAfter implements workqueue.TypedDelayingInterface.
func (d *delays) AddAfter(request reconcile.Request, wait time.Duration) {
	d.added[request.Name] = wait
}

// TestGrantsThatWakeTheController: a grant leads to a pass when it was just written, or when
// more workloads wait for it than before; the controller's own writes lead to none.
func TestGrantsThatWakeTheController(t *testing.T) {
	in := func(states ...v1alpha1.WorkloadState) *v1alpha1.PullAccessGrant {
		g := waitingWeb()
		g.Status.Workloads = nil
		for _, state := range states {
			g.Status.Workloads = append(g.Status.Workloads, v1alpha1.WorkloadStatus{State: state})
		}
		return g
	}
	requested := controllertest.Grant(firstMember, func(g *v1alpha1.PullAccessGrant) {
		g.Status.Workloads = []v1alpha1.WorkloadStatus{{State: v1alpha1.WorkloadWaiting}}
	})
	const waiting, restarting, recovered = v1alpha1.WorkloadWaiting, v1alpha1.WorkloadRestarting, v1alpha1.WorkloadRecovered
	for name, tc := range map[string]struct {
		before, after *v1alpha1.PullAccessGrant
		want          bool
	}{
		"written":                {requested, in(waiting), true},
		"joined by another":      {in(waiting), in(waiting, waiting), true},
		"fails again":            {in(recovered), in(waiting), true},
		"restarted by us":        {in(waiting), in(restarting), false},
		"unchanged":              {in(waiting), in(waiting), false},
		"joined before it is in": {controllertest.Grant(firstMember), requested, false},
		"ended":                  {in(waiting), controllertest.Grant(firstMember, endedWith(v1alpha1.EndExpired)), false},
	} {
		if got := moreToDo().Update(event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.after}); got != tc.want {
			t.Errorf("%s: a pass is made: %v, want %v", name, got, tc.want)
		}
	}
}

// TestPodsThatWakeTheController: a pod leads to a pass when it begins or ceases to fail and
// when it is no longer pending, and not when the kubelet alternates between two texts.
func TestPodsThatWakeTheController(t *testing.T) {
	fails := stuckPod("node-1", "web-1", 0)
	backsOff := fails.DeepCopy()
	controllertest.Failing("ImagePullBackOff", "Back-off pulling image")(backsOff)
	creating := fails.DeepCopy()
	controllertest.Failing("ContainerCreating", "")(creating)
	predicate := failingChanged()
	for name, tc := range map[string]struct{ got, want bool }{
		"made and fails":     {predicate.Create(event.CreateEvent{Object: fails}), true},
		"made":               {predicate.Create(event.CreateEvent{Object: creating}), false},
		"begins to fail":     {predicate.Update(event.UpdateEvent{ObjectOld: creating, ObjectNew: fails}), true},
		"ceases to fail":     {predicate.Update(event.UpdateEvent{ObjectOld: fails, ObjectNew: creating}), true},
		"another text":       {predicate.Update(event.UpdateEvent{ObjectOld: fails, ObjectNew: backsOff}), false},
		"no longer pending":  {predicate.Delete(event.DeleteEvent{Object: creating}), true},
		"of no event's kind": {predicate.Generic(event.GenericEvent{Object: fails}), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: a pass is made: %v, want %v", name, tc.got, tc.want)
		}
	}
}

// TestAPodWakesTheGrantsOfItsImages, also when it fails no longer, and after a moment in which
// the changes of other pods come together. Grants without work are left alone.
func TestAPodWakesTheGrantsOfItsImages(t *testing.T) {
	first := waitingWeb()
	second := carriedOut(secondMember, controllertest.Waiting(workload.Deployment, "web"))
	done := carriedOut("serviceAccount:done@acme-prod.iam.gserviceaccount.com", controllertest.Waiting(workload.Deployment, "web"))
	done.Status.Workloads[0].State = v1alpha1.WorkloadRecovered
	other := carriedOut("serviceAccount:other@acme-prod.iam.gserviceaccount.com", controllertest.Waiting(workload.Deployment, "web"))
	other.Spec.Repository.Name = "tools"
	e := newEnv(t, first, second, done, other)
	pod := runningPod("node-1", "web-1", 0, 0)
	hub := runningPod("node-1", "hub-1", 0, 0)
	hub.Spec.Containers[0].Image = "docker.io/library/nginx:1"
	handler := e.r.soonTogether()
	for name, tc := range map[string]struct {
		send func(*delays)
		want []string
	}{
		"made":                {func(q *delays) { handler.Create(t.Context(), event.CreateEvent{Object: pod}, q) }, []string{first.Name, second.Name}},
		"changed":             {func(q *delays) { handler.Update(t.Context(), event.UpdateEvent{ObjectOld: hub, ObjectNew: pod}, q) }, []string{first.Name, second.Name}},
		"gone":                {func(q *delays) { handler.Delete(t.Context(), event.DeleteEvent{Object: pod}, q) }, []string{first.Name, second.Name}},
		"of another registry": {func(q *delays) { handler.Create(t.Context(), event.CreateEvent{Object: hub}, q) }, nil},
		"no pod":              {func(q *delays) { handler.Create(t.Context(), event.CreateEvent{Object: &corev1.Node{}}, q) }, nil},
	} {
		queue := &delays{added: map[string]time.Duration{}}
		tc.send(queue)
		for _, grant := range tc.want {
			if queue.added[grant] != together {
				t.Errorf("%s: grant %s waits %v, want %v", name, grant, queue.added[grant], together)
			}
		}
		if len(queue.added) != len(tc.want) {
			t.Errorf("%s: passes are made for %v, want them for %q", name, queue.added, tc.want)
		}
	}
}

// TestAPolicyWakesAllGrantsWithWork, of every repository.
func TestAPolicyWakesAllGrantsWithWork(t *testing.T) {
	done := carriedOut(secondMember, controllertest.Waiting(workload.Deployment, "web"))
	done.Status.Workloads[0].State = v1alpha1.WorkloadGone
	e := newEnv(t, waitingWeb(), done)
	requests := e.r.openGrants(t.Context(), controllertest.Policy())
	if len(requests) != 1 || requests[0].Name != waitingWeb().Name {
		t.Errorf("passes are made for %v, want one for the grant with work", requests)
	}
	e.Faults.List = func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
		return errors.New("the API server is down")
	}
	if requests := e.r.openGrants(t.Context(), controllertest.Policy()); requests != nil {
		t.Errorf("passes are made for %v, although no grant could be listed", requests)
	}
}

// TestStatusDescribesTheGeneration: kstatus waits as long as the status is of an older one.
func TestStatusDescribesTheGeneration(t *testing.T) {
	grant := waitingWeb()
	grant.Generation = 4
	e := newEnv(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), grant, controllertest.Policy())...)
	if before := e.grant(firstMember).Status.ObservedGeneration; before == 4 {
		t.Fatal("the status describes generation 4 before the pass")
	}
	e.passAt(time.Minute)
	g := e.grant(firstMember)
	ready := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady)
	if e.rollouts() != 1 || g.Status.ObservedGeneration != 4 || ready.ObservedGeneration != 4 {
		t.Errorf("%d restarts; the status describes generation %d and Ready is %+v, want one restart and generation 4",
			e.rollouts(), g.Status.ObservedGeneration, ready)
	}
}

// TestTheReviewIsNeverWritten: the passes of a grant leave a person's review alone, and one
// that is written during a pass is kept.
func TestTheReviewIsNeverWritten(t *testing.T) {
	grant := waitingWeb()
	grant.Status.Review = &v1alpha1.Review{Decision: v1alpha1.ReviewApproved, User: "ann@example.com", Reason: "ticket 7"}
	e := newEnv(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), grant, controllertest.Policy())...)
	e.ForbidReview()
	stale := e.grant(firstMember)
	revoked := e.grant(firstMember)
	revoked.Status.Review.Decision = v1alpha1.ReviewRevoked
	e.UpdateStatus(revoked)
	e.Step(time.Minute)
	if result, err := e.r.Reconcile(t.Context(), stale); err != nil || result.RequeueAfter == 0 || e.rollouts() > 0 {
		t.Errorf("%+v, %v after %d restarts; want the pass to be repeated", result, err, e.rollouts())
	}
	if got := e.grant(firstMember).Status.Review.Decision; got != v1alpha1.ReviewRevoked {
		t.Errorf("the review is %s, and a person had revoked", got)
	}
	e.passAt(2 * time.Minute)
	e.replace(ofWeb(runningPod("node-1", "web-2", 2*time.Minute, 3*time.Minute)))
	e.passAt(3 * time.Minute)
	if g := e.grant(firstMember); g.Status.RecoveredWorkloads != 1 || g.Status.Review.Decision != v1alpha1.ReviewRevoked {
		t.Errorf("on record is %+v", g.Status)
	}
}
