// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// failNth has the call of that number, from 1, end with the error, before or after it was
// carried out. Conflicts are only of writes. It returns a function that tells what has
// failed, "" for nothing.
func (c *cluster) failNth(number int, fault error, carriedOut bool) (failed func() string) {
	calls, what := 0, ""
	through := func(verb string, call func() error) error {
		if read := verb == "get" || verb == "list"; read && apierrors.IsConflict(fault) {
			return call()
		}
		if calls++; calls != number {
			return call()
		}
		what = verb
		if carriedOut {
			return errors.Join(call(), fault)
		}
		return fault
	}
	c.Faults = interceptor.Funcs{
		Get: func(ctx context.Context, inner client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			return through("get", func() error { return inner.Get(ctx, key, o, options...) })
		},
		List: func(ctx context.Context, inner client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			return through("list", func() error { return inner.List(ctx, list, options...) })
		},
		Patch: func(ctx context.Context, inner client.WithWatch, o client.Object, patch client.Patch, options ...client.PatchOption) error {
			return through("patch", func() error { return inner.Patch(ctx, o, patch, options...) })
		},
		Delete: func(ctx context.Context, inner client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			return through("delete", func() error { return inner.Delete(ctx, o, options...) })
		},
		SubResourcePatch: func(ctx context.Context, inner client.Client, sub string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			return through("patch "+sub, func() error { return inner.SubResource(sub).Patch(ctx, o, patch, options...) })
		},
	}
	return func() string { return what }
}

// TestAFailedCallLosesNothing has each call of the pass that restarts fail once. The pass
// ends with an error, or is repeated soon after a conflict; the next ones restart the
// workload once, with or without the memory of the process.
func TestAFailedCallLosesNothing(t *testing.T) {
	down := apierrors.NewInternalError(errors.New("etcd is down"))
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "objects"}, "object", nil)
	for name, tc := range map[string]struct {
		fault                  error
		carriedOut, newProcess bool
	}{
		"not carried out":                {fault: down},
		"not carried out, new process":   {fault: down, newProcess: true},
		"carried out, without an answer": {fault: down, carriedOut: true},
		"carried out, new process":       {fault: down, carriedOut: true, newProcess: true},
		"conflict":                       {fault: conflict},
		"conflict, new process":          {fault: conflict, newProcess: true},
	} {
		for strategy, last := range map[v1alpha1.RestartStrategy]string{v1alpha1.RestartRollout: "patch", v1alpha1.RestartDeletePods: "delete"} {
			t.Run(name+" "+string(strategy), func(t *testing.T) {
				failed := map[string]bool{}
				for number := 1; ; number++ {
					what := afterFault(t, number, tc.fault, tc.carriedOut, tc.newProcess, strategy)
					if what == "" {
						break
					}
					failed[what] = true
				}
				wanted := []string{"patch status", last}
				if !apierrors.IsConflict(tc.fault) {
					wanted = append(wanted, "get", "list")
				}
				for _, want := range wanted {
					if !failed[want] {
						t.Errorf("the pass makes no call %q", want)
					}
				}
			})
		}
	}
}

// afterFault has one call fail, and checks what the passes make of it. It returns what failed.
func afterFault(t *testing.T, number int, fault error, carriedOut, newProcess bool, strategy v1alpha1.RestartStrategy) string {
	t.Helper()
	policy := controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Restart.Strategy = strategy })
	c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), policy)...)
	c.Step(v1alpha1.DefaultRestartDelay)
	failed := c.failNth(number, fault, carriedOut)
	result, err := c.pass(firstMember)
	what, conflict := failed(), apierrors.IsConflict(fault)
	switch {
	case what == "":
	case conflict && (err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Second), !conflict && err == nil:
		t.Errorf("call %d, %s: the pass ends with %+v, %v", number, what, result, err)
	}
	c.Faults = interceptor.Funcs{}
	if newProcess {
		c.newProcess()
	}
	for range 4 {
		c.Step(200 * time.Millisecond)
		c.mustPass(firstMember)
	}
	w := c.web(firstMember)
	if w.Attempts != 1 || w.RestartTime.Before(after(v1alpha1.DefaultRestartDelay)) {
		t.Fatalf("call %d, %s: on record is %+v, want one restart", number, what, w)
	}
	done := c.restartedAt() == w.RestartTime.UTC().Format(time.RFC3339)
	if strategy == v1alpha1.RestartDeletePods {
		done = len(c.pods()) == 0
	}
	if !done {
		t.Errorf("call %d, %s: the restart on record was not done", number, what)
	}
	// A write of which it is not certain that it failed stays counted.
	counted := c.Counted(c.r.Ledger, v1alpha1.LimitRestarts)
	if counted != 1 && (conflict || what != "patch status" || counted != 2) {
		t.Errorf("call %d, %s: %d restarts are counted", number, what, counted)
	}
	return what
}

// TestAPodThatHasStartedSinceIsNotDeleted: the deletion is of the pod as it was seen.
func TestAPodThatHasStartedSinceIsNotDeleted(t *testing.T) {
	policy := controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Restart.Strategy = v1alpha1.RestartDeletePods })
	c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), policy)...)
	c.Faults.Delete = func(ctx context.Context, inner client.WithWatch, o client.Object, options ...client.DeleteOption) error {
		pod := &corev1.Pod{}
		if err := c.Server.Get(ctx, client.ObjectKeyFromObject(o), pod); err != nil {
			return err
		}
		controllertest.Started(c.Clock.Now())(pod)
		pod.Status.Phase = corev1.PodRunning
		c.UpdateStatus(pod)
		return inner.Delete(ctx, o, options...)
	}
	if result := c.passAt(time.Minute); result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Errorf("the pass is repeated in %v, want it soon after the conflict", result.RequeueAfter)
	}
	c.passAt(2 * time.Minute)
	if w := c.web(firstMember); w.State != v1alpha1.WorkloadRecovered || len(c.pods()) != 1 {
		t.Errorf("left are the pods %q, and on record is %+v", c.pods(), w)
	}
}

// TestNothingIsConcludedFromAnUnreadAccount: while the account of a node cannot be read, the
// pass ends with an error and changes nothing.
func TestNothingIsConcludedFromAnUnreadAccount(t *testing.T) {
	c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), controllertest.Policy())...)
	c.Step(2 * time.Hour)
	c.Cloud.Obstacles[controllertest.MethodNodeAccount] = diagnosis.Obstacle{Kind: diagnosis.Unavailable}
	if _, err := c.pass(firstMember); !errors.Is(err, errPullerUnread) {
		t.Errorf("Reconcile: %v, want that the account is unread", err)
	}
	if w := c.web(firstMember); w.State != v1alpha1.WorkloadWaiting || len(c.Writes()) > 0 {
		t.Errorf("written was %v, and on record is %+v", c.Writes(), w)
	}
	c.Cloud.Obstacles = map[string]diagnosis.Obstacle{}
	c.mustPass(firstMember)
	if n := c.rollouts(); n != 1 {
		t.Errorf("%d restarts when the account was read, want one", n)
	}
}

// TestStuckWorkloadsAreReadOnce: a pass reads live only the workloads of which something has
// changed or is due, so that many that are stuck cost little.
func TestStuckWorkloadsAreReadOnce(t *testing.T) {
	c := newCluster(t, append(webWith(stuckPod("node-1", "web-1", -time.Hour)), waitingWeb(), controllertest.Policy())...)
	reads := func() (n int) {
		for _, target := range c.Calls.Of("get") {
			if strings.HasPrefix(target, "Deployment ") {
				n++
			}
		}
		return n
	}
	for at := time.Duration(0); at < 50*time.Second; at += 10 * time.Second {
		if result := c.passAt(at); result.RequeueAfter != time.Minute-at {
			t.Errorf("%v after the grant the next look is in %v, want it when the delay is over", at, result.RequeueAfter)
		}
	}
	if n := reads(); n != 1 {
		t.Errorf("%d reads of a workload of which nothing has changed, want one", n)
	}
	c.Create(ofWeb(stuckPod("node-1", "web-2", 0)))
	c.passAt(55 * time.Second)
	if n := reads(); n != 2 {
		t.Errorf("%d reads after another pod began to fail, want two", n)
	}
	c.passAt(time.Minute)
	if n := c.rollouts(); n != 1 {
		t.Errorf("%d restarts when the delay is over, want one", n)
	}
}
