// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// aboutToWrite is a pass that has found out that the grant is to be added.
func aboutToWrite(t *testing.T, asked *v1alpha1.PullAccessGrant) (*env, *work) {
	t.Helper()
	asked.Finalizers = []string{v1alpha1.Finalizer}
	e := newEnv(t, readers(foreign), enforcing(), asked)
	todo, err := e.r.observe(t.Context(), repository)
	if err != nil || len(todo.add) != 1 {
		t.Fatalf("%d grants are to be added, %v", len(todo.add), err)
	}
	return e, todo
}

// TestWritesBesideJoins: workloads that join a grant while its pass is under way are kept,
// and hold nothing up. Whatever else has changed since the grant was read stops the write:
// the pass has judged by what was there before.
func TestWritesBesideJoins(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.PullAccessGrant)
		passes bool
	}{
		"a workload joins": {func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Join(g, v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "late"}, "prod", now)
		}, true},
		"a person denies": {func(g *v1alpha1.PullAccessGrant) { g.Status.Review = &v1alpha1.Review{Decision: v1alpha1.ReviewDenied} }, false},
		"it is asked for anew": {func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Reopen(g, v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "late"}, "other", now)
		}, false},
		"it ends": {func(g *v1alpha1.PullAccessGrant) { grantstatus.End(g, v1alpha1.EndRevoked, now) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			e, todo := aboutToWrite(t, requested(nodes))
			late := e.grant(nodes)
			tc.change(late)
			e.UpdateStatus(late)
			err := intents{e.r, todo}.Intend(t.Context(), iampolicy.Change{Added: []string{nodes}}, "etag")
			after := e.grant(nodes)
			kept := slices.ContainsFunc(after.Status.Workloads, func(e v1alpha1.WorkloadStatus) bool { return e.Name == "late" })
			switch {
			case tc.passes && (err != nil || !grantstatus.Interrupted(after) || !kept):
				t.Errorf("Intend: %v, and on record is %+v", err, after.Status)
			case !tc.passes && (!apierrors.IsConflict(err) || grantstatus.Interrupted(after)):
				t.Errorf("Intend: %v, and on record is %+v; want a conflict", err, after.Status)
			}
		})
	}
}

// TestOvertakenIsRepeatedSoon: a grant whose status others have written meanwhile costs a
// moment, and no backoff.
func TestOvertakenIsRepeatedSoon(t *testing.T) {
	asked := requested(nodes)
	asked.Finalizers = []string{v1alpha1.Finalizer}
	e := newEnv(t, readers(foreign), enforcing(), asked)
	e.answerWrites(controllertest.Answer{Err: apierrors.NewConflict(schema.GroupResource{}, "prod", nil)})
	if result, err := e.pass(); err != nil || result.RequeueAfter == 0 || result.RequeueAfter >= firstRetry {
		t.Errorf("Reconcile: %+v, %v", result, err)
	}
	if e.mustPass(); !grantstatus.Granted(e.grant(nodes)) {
		t.Errorf("on record is %+v", e.grant(nodes).Status)
	}
}

// TestIntentIsTakenBackForCertain: an intent that could not be taken back at once is asked
// about again, and one that may be on record is not taken for none.
func TestIntentIsTakenBackForCertain(t *testing.T) {
	lost := apierrors.NewTimeoutError("no answer", 0)
	for name, tc := range map[string]struct {
		// intent and withdrawal are what becomes of the two writes: the answer, and whether it is applied.
		intent, withdrawal controllertest.Answer
		// open: an intent may be on record, so that nothing is settled.
		open bool
	}{
		"the withdrawal fails at first":     {withdrawal: controllertest.Answer{Err: lost}},
		"the intent's answer is lost":       {intent: controllertest.Answer{Err: lost, Applied: true}, open: true},
		"the intent is lost":                {intent: controllertest.Answer{Err: lost}},
		"the intent is refused":             {intent: controllertest.Answer{Err: apierrors.NewForbidden(schema.GroupResource{}, "g", nil)}},
		"the withdrawal's answer gets lost": {withdrawal: controllertest.Answer{Err: lost, Applied: true}, open: true},
	} {
		t.Run(name, func(t *testing.T) {
			e, todo := aboutToWrite(t, requested(nodes))
			if err := e.r.holdBack(t.Context(), todo); err != nil || len(todo.counted) != 1 {
				t.Fatalf("holdBack: %v, counted are %v", err, todo.counted)
			}
			e.answerWrites(tc.intent, tc.withdrawal)
			recorder := intents{e.r, todo}
			if err := recorder.Intend(t.Context(), iampolicy.Change{Added: []string{nodes}}, "etag"); (err != nil) != (tc.intent.Err != nil) {
				t.Fatalf("Intend: %v", err)
			}
			if tc.intent.Err == nil {
				if err := recorder.Withdraw(t.Context()); err == nil {
					t.Fatal("Withdraw: no error")
				}
			}
			err := e.r.withdraw(t.Context(), todo)
			left := len(todo.counted)
			if tc.open != (err != nil) || tc.open != (left > 0) {
				t.Errorf("withdraw: %v; %d grants stay counted, and the record is %+v", err, left, e.grant(nodes).Status.Write)
			}
			if !tc.open && grantstatus.Interrupted(e.grant(nodes)) {
				t.Error("the intent is on record still")
			}
		})
	}
}

// answerWrites has the API server's answers to the next writes of a status be these.
func (e *env) answerWrites(answers ...controllertest.Answer) {
	e.Faults = interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
		var said controllertest.Answer
		if len(answers) > 0 {
			said, answers = answers[0], answers[1:]
		}
		if said.Applied || said.Err == nil {
			if err := c.SubResource(sub).Patch(ctx, object, patch, options...); err != nil {
				return err
			}
		}
		return said.Err
	}}
}

// TestAnOlderIntentIsSettledByItsEtag: Google takes no write that goes by an older policy.
func TestAnOlderIntentIsSettledByItsEtag(t *testing.T) {
	for etag, open := range map[string]bool{"etag-old": true, "etag-new": false} {
		asked := requested(nodes)
		grantstatus.Intend(asked, true, "etag-old", now)
		e, todo := aboutToWrite(t, asked)
		if err := (intents{e.r, todo}).Intend(t.Context(), iampolicy.Change{Added: []string{nodes}}, etag); err != nil {
			t.Fatal(err)
		}
		if settled := todo.settled(todo.add[0]); settled == open {
			t.Errorf("an intent of etag-old, then one of %s: settled is %v", etag, settled)
		}
	}
}
