// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"errors"
	"fmt"
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

var errUnanswered = fmt.Errorf("%w (%w)", iampolicy.ErrUnavailable, iampolicy.ErrUncertain)

// TestTheIntentOutlivesWhatIsNotKnown: an intent ends only when it is certain
// that nothing of it has taken effect.
func TestTheIntentOutlivesWhatIsNotKnown(t *testing.T) {
	tests := map[string]struct {
		g         *v1alpha1.PullAccessGrant
		read      error
		writes    []error
		wantOpen  bool
		wantErr   bool
		wantState string
		why       string
	}{
		"forbidden to read, nothing begun": {
			g: requested(nodes), read: iampolicy.ErrForbidden, wantState: "False CloudForbidden",
			why: "there is no intent to keep",
		},
		"forbidden to read, interrupted": {
			g: intended(nodes), read: iampolicy.ErrForbidden, wantOpen: true, wantState: "False CloudForbidden",
			why: "the policy was not read: the write of then may have taken effect",
		},
		"forbidden to write": {
			g: requested(nodes), writes: []error{iampolicy.ErrForbidden}, wantState: "False CloudForbidden",
			why: "this pass put it on record, and Google refused it",
		},
		"forbidden to write, interrupted": {
			g: intended(nodes), writes: []error{iampolicy.ErrForbidden}, wantState: "False CloudForbidden",
			why: "this pass has read the policy without the member",
		},
		"forbidden after an unanswered write": {
			g: requested(nodes), writes: []error{errUnanswered, iampolicy.ErrForbidden}, wantOpen: true, wantState: "False CloudForbidden",
			why: "a write was sent before",
		},
		"unavailable, nothing begun": {
			g: requested(nodes), read: iampolicy.ErrUnavailable, wantErr: true, wantState: "Unknown CloudUnreachable",
			why: "backoff is the queue's",
		},
		"unanswered writes": {
			g: requested(nodes), writes: []error{errUnanswered, errUnanswered}, wantOpen: true, wantErr: true, wantState: "Unknown CloudUnreachable",
			why: "it may have taken effect",
		},
		"conflict at every attempt": {
			g: requested(nodes), writes: slices.Repeat([]error{iampolicy.ErrConflict}, MaxReads), wantErr: true, wantState: "Unknown Conflict",
			why: "Google took none of the writes",
		},
		"answered": {g: intended(nodes), wantState: "True AccessGranted", why: "the outcome closes the intent"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign), enforcing(), tc.g)
			e.nextEdits(tc.read)
			for _, err := range tc.writes {
				e.Cloud.Answers = append(e.Cloud.Answers, controllertest.Answer{Err: err})
			}
			result, err := e.pass()
			if (err != nil) != tc.wantErr {
				t.Errorf("Reconcile: %v, want an error: %v", err, tc.wantErr)
			}
			if refused := tc.read != nil || len(tc.writes) > 0; refused && !tc.wantErr && result.RequeueAfter != recheckAfter {
				t.Errorf("RequeueAfter = %v, want %v", result.RequeueAfter, recheckAfter)
			}
			e.wantCondition(nodes, v1alpha1.ConditionGranted, tc.wantState)
			if got := grantstatus.Interrupted(e.grant(nodes)); got != tc.wantOpen {
				t.Errorf("the intent is open: %v, want %v: %s", got, tc.wantOpen, tc.why)
			}
		})
	}
}

// TestAfterACrash starts anew on what an operator left that died after its
// intent, before its outcome.
func TestAfterACrash(t *testing.T) {
	tests := map[string]struct {
		readers  []string
		wantSent int
		why      string
	}{
		"the write had taken effect": {readers: []string{foreign, nodes}, why: "it was ours, and is taken back on deletion"},
		"the write was never sent":   {readers: []string{foreign}, wantSent: 1, why: "it is done now"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, tc.readers, enforcing(), intended(nodes))
			e.mustPass()
			e.wantCondition(nodes, v1alpha1.ConditionGranted, "True AccessGranted")
			e.wantReaders(foreign, nodes)
			g := e.grant(nodes)
			if g.Status.Origin != v1alpha1.OriginAdded || grantstatus.Interrupted(g) || len(e.Cloud.Sent) != tc.wantSent {
				t.Errorf("%d writes left %+v: %s", len(e.Cloud.Sent), g.Status, tc.why)
			}
			e.Delete(g)
			e.mustPass()
			e.wantReaders(foreign)
		})
	}
}

// TestAnUnansweredWriteIsCompletedByTheNextPass: died or not, the next pass
// finds the member and knows it for the operator's.
func TestAnUnansweredWriteIsCompletedByTheNextPass(t *testing.T) {
	e := newEnv(t, readers(foreign), enforcing(), requested(nodes))
	e.Cloud.Answers = []controllertest.Answer{{Err: errUnanswered, Applied: true}}
	e.nextEdits(nil, iampolicy.ErrUnavailable)
	if _, err := e.pass(); !errors.Is(err, iampolicy.ErrUnavailable) {
		t.Fatalf("Reconcile: %v, want that Google is unavailable", err)
	}
	e.restart()
	e.mustPass()
	if g := e.grant(nodes); g.Status.Origin != v1alpha1.OriginAdded || len(e.Cloud.Sent) != 1 {
		t.Errorf("%d writes left %+v, want one that is ours", len(e.Cloud.Sent), g.Status)
	}
}

// TestAnUnansweredWriteIsNotForgottenWhenItIsSplit: the first write of both
// lands late, though Google refused its repetition for one member's sake.
func TestAnUnansweredWriteIsNotForgottenWhenItIsSplit(t *testing.T) {
	e := newEnv(t, readers(foreign), enforcing(), requested(nodes), requested(batch))
	e.Cloud.Answers = []controllertest.Answer{{Err: errUnanswered}, {Err: iampolicy.ErrOrgPolicy, Applied: true}}
	e.mustPass()
	for _, member := range []string{nodes, batch} {
		if g := e.grant(member); g.Status.Origin != v1alpha1.OriginAdded {
			t.Errorf("%s was added by the operator, and is recorded as %q", member, g.Status.Origin)
		}
	}
}

// TestRecordFails: without the intent on record nothing is sent.
func TestRecordFails(t *testing.T) {
	resource := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "pullaccessgrants"}
	conflict := apierrors.NewConflict(resource, nameOf(nodes), errors.New("it was changed"))
	internal := apierrors.NewInternalError(errors.New("the API server is ill"))
	onStatus := func(err error) interceptor.Funcs {
		return interceptor.Funcs{SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			return err
		}}
	}
	onFinalizer := func(err error) interceptor.Funcs {
		return interceptor.Funcs{Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return err
		}}
	}
	tests := map[string]struct {
		faults  interceptor.Funcs
		wantErr bool
	}{
		"conflict on the intent":       {faults: onStatus(conflict)},
		"conflict on the finalizer":    {faults: onFinalizer(conflict)},
		"API server ill at the intent": {faults: onStatus(internal), wantErr: true},
		"API server ill before":        {faults: onFinalizer(internal), wantErr: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign), enforcing(), requested(nodes))
			e.Faults = tc.faults
			result, err := e.pass()
			if (err != nil) != tc.wantErr {
				t.Errorf("Reconcile: %v, want an error: %v", err, tc.wantErr)
			}
			if !tc.wantErr && (result.RequeueAfter <= 0 || result.RequeueAfter >= recheckAfter) {
				t.Errorf("RequeueAfter = %v, want a quiet repeat soon", result.RequeueAfter)
			}
			if len(e.Cloud.Sent) != 0 || len(e.Recorder.Events()) != 0 {
				t.Errorf("sent %+v and told %q without a record", e.Cloud.Sent, e.Recorder.Events())
			}
			e.restart()
			e.mustPass()
			e.wantReaders(foreign, nodes)
		})
	}
}

// TestAWithdrawnIntentIsNotOnRecord: what the cache still holds of an intent that was
// taken back is no record. The second pass comes within the same second.
func TestAWithdrawnIntentIsNotOnRecord(t *testing.T) {
	e := newEnv(t, readers(foreign), enforcing(), requested(nodes), requested(batch))
	var cached *v1alpha1.PullAccessGrant
	e.Faults = interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, inner client.Client, sub string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			if o.GetName() == nameOf(nodes) && cached != nil && e.edits() == 1 {
				return apierrors.NewConflict(schema.GroupResource{Resource: "pullaccessgrants"}, o.GetName(), errors.New("it was changed"))
			}
			err := inner.SubResource(sub).Patch(ctx, o, p, options...)
			if g, ok := o.(*v1alpha1.PullAccessGrant); ok && g.Name == nameOf(batch) && g.Status.Write != nil && cached == nil {
				cached = g.DeepCopy()
			}
			return err
		},
		List: func(ctx context.Context, inner client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			err := inner.List(ctx, list, options...)
			grants, ok := list.(*v1alpha1.PullAccessGrantList)
			for i := 0; ok && cached != nil && i < len(grants.Items); i++ {
				if grants.Items[i].Name == cached.Name {
					grants.Items[i] = *cached.DeepCopy()
				}
			}
			return err
		},
	}
	// The first of the two is put on record, the second is not, and so the first is taken back.
	e.mustPass()
	if g := e.grant(batch); cached == nil || g.Status.Write != nil {
		t.Fatalf("after the first pass %+v is on record, and %+v was; want an intent that was taken back", g.Status.Write, cached)
	}
	e.mustPass()
	if len(e.Cloud.Sent) > 0 {
		t.Errorf("sent %+v, and no intent of it is on record: %+v", e.Cloud.Sent, e.grant(batch).Status.Write)
	}
	e.restart() // The cache has caught up.
	e.mustPass()
	e.wantReaders(foreign, batch, nodes)
}

// TestObserveFails: without the grants, or the policies, nothing is touched.
func TestObserveFails(t *testing.T) {
	for _, of := range []client.ObjectList{&v1alpha1.PullAccessGrantList{}, &v1alpha1.PullAccessPolicyList{}} {
		e := newEnv(t, readers(foreign), enforcing(), requested(nodes))
		e.Faults = interceptor.Funcs{List: func(ctx context.Context, inner client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if fmt.Sprintf("%T", list) == fmt.Sprintf("%T", of) {
				return apierrors.NewInternalError(errors.New("the API server is ill"))
			}
			return inner.List(ctx, list, options...)
		}}
		if _, err := e.pass(); err == nil || e.edits() != 0 {
			t.Errorf("without %T: Reconcile: %v after %d edits", of, err, e.edits())
		}
	}
}

// TestARefusedIntentIsTakenBack: others wrote first, and what they may have added is not to
// be taken for the operator's if it dies now.
func TestARefusedIntentIsTakenBack(t *testing.T) {
	e, todo := aboutToWrite(t, requested(nodes))
	for i := range 3 {
		var err error
		intend := i%2 == 0
		if intend {
			err = e.r.recordIntent(t.Context(), todo, iampolicy.Change{Added: []string{nodes}}, "etag")
		} else {
			err = e.r.clearIntent(t.Context(), todo, todo.add[0])
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := grantstatus.Interrupted(e.grant(nodes)); got != intend {
			t.Errorf("step %d: an intent is on record: %v, want %v", i, got, intend)
		}
	}
}
