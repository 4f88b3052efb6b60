// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/demand"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

// newIdleEnv is an environment in which no pod needs a grant.
func newIdleEnv(t *testing.T, members []string, policy *v1alpha1.PullAccessPolicy, g *v1alpha1.PullAccessGrant) *env {
	t.Helper()
	e := newEnv(t, members, policy, g)
	e.idle = true
	return e
}

// TestCarriesOutOnlyWhatIsNeeded: a record by itself opens nothing.
func TestCarriesOutOnlyWhatIsNeeded(t *testing.T) {
	denied := func(decision string) *v1alpha1.PullAccessGrant {
		g := requested(nodes)
		g.Annotations = map[string]string{v1alpha1.ReviewAnnotation: decision}
		return g
	}
	ofAnother := func(g *v1alpha1.PullAccessGrant) *v1alpha1.PullAccessGrant {
		g.Status.UID = "uid-of-another-object"
		return g
	}
	reviewed := func(decision v1alpha1.ReviewDecision) *v1alpha1.PullAccessGrant {
		g := requested(nodes)
		grantstatus.Propose(g, asking(), now)
		g.Status.Review = &v1alpha1.Review{Decision: decision, User: "ann@example.com"}
		return ofAnother(g)
	}
	tests := map[string]struct {
		g      *v1alpha1.PullAccessGrant
		mode   v1alpha1.PolicyMode
		in     []string
		needed bool
		want   string
		wantIn []string
		why    string
	}{
		"no pod needs it":                {g: requested(nodes), in: readers(foreign), want: "False NotRequested", wantIn: readers(foreign)},
		"a pod needs it":                 {g: requested(nodes), in: readers(foreign), needed: true, want: "True AccessGranted", wantIn: readers(foreign, nodes)},
		"nobody is asked for it":         {g: requested(nodes), mode: v1alpha1.ModeApprove, in: readers(foreign), want: "False NotRequested", wantIn: readers(foreign)},
		"its write was begun":            {g: intended(nodes), in: readers(foreign, nodes), want: "True AccessGranted", wantIn: readers(foreign, nodes), why: "an open intent is always completed or undone"},
		"it is granted":                  {g: granted(nodes, v1alpha1.OriginAdded), in: readers(foreign, nodes), want: "True AccessGranted", wantIn: readers(foreign, nodes), why: "a running pod needs nothing"},
		"restored, once denied":          {g: denied("Denied"), in: readers(foreign), needed: true, want: "False Denied", wantIn: readers(foreign)},
		"restored, once revoked":         {g: denied("Revoked"), in: readers(foreign), needed: true, want: "False Revoked", wantIn: readers(foreign)},
		"restored with status, denied":   {g: reviewed(v1alpha1.ReviewDenied), mode: v1alpha1.ModeApprove, in: readers(foreign), needed: true, want: "False Denied", wantIn: readers(foreign)},
		"restored with status, approved": {g: reviewed(v1alpha1.ReviewApproved), mode: v1alpha1.ModeApprove, in: readers(foreign), needed: true, want: "Unknown WaitingForApproval", wantIn: readers(foreign), why: "the approval was of another object"},
		"restored with status, granted":  {g: ofAnother(granted(nodes, v1alpha1.OriginAdded)), in: readers(foreign), want: "False NotRequested", wantIn: readers(foreign)},
		"restored with status, intended": {g: ofAnother(intended(nodes)), in: readers(foreign, nodes), want: "False NotRequested", wantIn: readers(foreign, nodes), why: "the intent was of another object"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			policy := enforcing()
			if tc.mode != "" {
				policy.Spec.Mode = tc.mode
			}
			e := newIdleEnv(t, tc.in, policy, tc.g)
			if tc.needed {
				e.need(tc.g, controllertest.Namespace)
			}
			e.mustPass()
			e.mustPass() // The first discards the status of another object.
			e.wantCondition(nodes, v1alpha1.ConditionGranted, tc.want)
			e.wantReaders(tc.wantIn...)
			if t.Failed() {
				t.Log(tc.why)
			}
		})
	}
}

// TestRestoredStatusRevokesNothing deletes a record whose status says of another object
// that the operator added the member.
func TestRestoredStatusRevokesNothing(t *testing.T) {
	g := granted(nodes, v1alpha1.OriginAdded)
	g.Status.UID = "uid-of-another-object"
	e := newIdleEnv(t, readers(foreign, nodes), enforcing(), g)
	e.Delete(g)
	e.mustPass()
	e.wantReaders(foreign, nodes)
	if g := e.grant(nodes); g != nil {
		t.Errorf("the record is still there: %+v", g.ObjectMeta)
	}
}

// TestEndsAsNotNeeded: a grant that is not written ends after 15 minutes without a pod that
// needs it, but not before the pods of the first list were evaluated.
func TestEndsAsNotNeeded(t *testing.T) {
	g := requested(nodes)
	e := newIdleEnv(t, readers(foreign), enforcing(), g)
	if result := e.mustPass(); result.RequeueAfter != pollDemand {
		t.Errorf("RequeueAfter is %v, want %v", result.RequeueAfter, pollDemand)
	}
	if !e.r.takeUnneeded(g.Name) || e.r.takeUnneeded(g.Name) || e.r.takeUnneeded("another") {
		t.Error("a need does not wake the grant that waits for it once, or wakes another")
	}
	e.Step(notNeededAfter - time.Second)
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False NotRequested")
	e.Step(time.Second)
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False NotNeeded")
	if !grantstatus.MayReopen(e.grant(nodes), now) {
		t.Error("a pod may not request the grant again")
	}

	e = newIdleEnv(t, readers(foreign), enforcing(), requested(nodes))
	e.demand = demand.New(e.Clock)
	e.demand.Expect([]types.NamespacedName{{Namespace: "shop", Name: "slow"}})
	e.restart()
	e.Step(time.Hour)
	if result := e.mustPass(); result.RequeueAfter != pollDemand {
		t.Errorf("RequeueAfter is %v, want %v while the first list is not evaluated", result.RequeueAfter, pollDemand)
	}
	e.wantReaders(foreign)
	if !e.r.takeUnneeded(nameOf(nodes)) {
		t.Error("a need does not wake a grant that was evaluated before the pods")
	}
	if n := len(e.Writes()); n != 0 {
		t.Errorf("%v were written before the first list was evaluated", e.Writes())
	}
}

// TestReviewOutlastsThePod: a review waits also while no pod needs the grant, and an
// approval after 20 hours counts.
func TestReviewOutlastsThePod(t *testing.T) {
	policy := asking()
	policy.Spec.Approval.Timeout = &metav1.Duration{Duration: 24 * time.Hour}
	g := requested(nodes)
	e := newIdleEnv(t, readers(foreign), policy, g)
	e.need(g, controllertest.Namespace)
	e.mustPass()
	e.demand.Delete(types.NamespacedName{Namespace: controllertest.Namespace, Name: g.Name})
	e.Step(20 * time.Hour)
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "Unknown WaitingForApproval")
	e.answer(nodes, v1alpha1.ReviewApproved)
	e.mustPass()
	e.wantReaders(foreign, nodes)
}

// TestPodGoesWhileTheEditWaits: the operator looks for a need again right before the write.
func TestPodGoesWhileTheEditWaits(t *testing.T) {
	g := requested(nodes)
	e := newIdleEnv(t, readers(foreign), enforcing(), g)
	e.need(g, controllertest.Namespace)
	e.Cloud.OnRead = func(int) { e.demand.Delete(types.NamespacedName{Namespace: controllertest.Namespace, Name: g.Name}) }
	if _, err := e.pass(); err == nil {
		t.Error("Reconcile returns no error, and nothing requeues the grant")
	}
	e.mustPass()
	e.wantReaders(foreign)
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False NotRequested")
}

// TestRefusalStandsBesideTheStatus: an annotation repeats a person's denial or revocation,
// so that a backup without status keeps it.
func TestRefusalStandsBesideTheStatus(t *testing.T) {
	for _, decision := range []v1alpha1.ReviewDecision{v1alpha1.ReviewDenied, v1alpha1.ReviewRevoked} {
		e := newEnv(t, readers(foreign), asking(), requested(nodes))
		e.mustPass()
		e.answer(nodes, decision)
		e.mustPass()
		if got := e.grant(nodes).Annotations[v1alpha1.ReviewAnnotation]; got != string(decision) {
			t.Errorf("the annotation is %q, want %q", got, decision)
		}
		writes := e.Writes()["patch"]
		e.mustPass()
		if e.Writes()["patch"] != writes {
			t.Error("a second pass writes the annotation again")
		}
	}
}
