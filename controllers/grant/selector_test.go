// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// selectingTeamA returns a policy that selects the namespaces of team a.
func selectingTeamA() *v1alpha1.PullAccessPolicy {
	p := enforcing()
	p.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
	return p
}

// relabel replaces the labels of namespace shop.
func (e *env) relabel(labels map[string]string) {
	e.Helper()
	namespace := shop()
	if err := e.Server.Get(e.Context(), keyOf(namespace), namespace); err != nil {
		e.Fatal(err)
	}
	namespace.Labels = labels
	if err := e.Server.Update(e.Context(), namespace); err != nil {
		e.Fatal(err)
	}
}

// TestSelectsANamespaceThatNeedsTheGrant changes what the policy selects while the grant
// waits. The operator writes the grant only if a namespace that needs it is selected now.
func TestSelectsANamespaceThatNeedsTheGrant(t *testing.T) {
	narrow := func(e *env) {
		e.editPolicy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.NamespaceSelector.MatchLabels["team"] = "b" })
	}
	tests := map[string]struct {
		g       *v1alpha1.PullAccessGrant
		readers []string
		change  func(*env)
		want    string
		wantIn  bool
		why     string
	}{
		"selected":               {g: requested(nodes), readers: readers(foreign), change: func(*env) {}, want: "True AccessGranted", wantIn: true},
		"the selector narrowed":  {g: requested(nodes), readers: readers(foreign), change: narrow, want: "False PolicyGone"},
		"no selector":            {g: requested(nodes), readers: readers(foreign), change: func(e *env) { e.editPolicy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.NamespaceSelector = nil }) }, want: "False PolicyGone", why: "the zero value selects nothing"},
		"the label removed":      {g: requested(nodes), readers: readers(foreign), change: func(e *env) { e.relabel(nil) }, want: "False PolicyGone"},
		"the namespace deleted":  {g: requested(nodes), readers: readers(foreign), change: func(e *env) { e.Delete(shop()) }, want: "False PolicyGone"},
		"interrupted, it landed": {g: intended(nodes), readers: readers(foreign, nodes), change: narrow, want: "False PolicyGone", why: "the operator undoes what it began"},
		"granted":                {g: granted(nodes, v1alpha1.OriginAdded), readers: readers(foreign, nodes), change: narrow, want: "True AccessGranted", wantIn: true, why: "selectors stop new writes, not access in use"},
		"another namespace needs it": {
			g: requested(nodes), readers: readers(foreign), want: "True AccessGranted", wantIn: true,
			change: func(e *env) {
				e.relabel(nil)
				e.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mall", Labels: map[string]string{"team": "a"}}})
				g := e.grant(nodes)
				grantstatus.Join(g, v1alpha1.Workload{Kind: "Deployment", Namespace: "mall", Name: "web"}, "prod", now)
				e.UpdateStatus(g)
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, tc.readers, selectingTeamA(), tc.g)
			tc.change(e)
			e.mustPass()
			e.wantCondition(nodes, v1alpha1.ConditionGranted, tc.want)
			want := readers(foreign)
			if tc.wantIn {
				want = readers(foreign, nodes)
			}
			e.wantReaders(want...)
			g := e.grant(nodes)
			why := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionGranted).Message
			if !tc.wantIn && (!strings.Contains(why, "spec.namespaceSelector") || grantstatus.Interrupted(g)) {
				t.Errorf("the condition says %q, the intent is open: %v; want the field and no intent: %s", why, grantstatus.Interrupted(g), tc.why)
			}
		})
	}
}

// TestNamespaceLosesItsLabelWhileTheEditWaits: the operator evaluates the selector again
// right before each write.
func TestNamespaceLosesItsLabelWhileTheEditWaits(t *testing.T) {
	for round := 1; round <= 2; round++ {
		e := newEnv(t, readers(foreign), selectingTeamA(), requested(nodes))
		e.Cloud.Answers = []controllertest.Answer{{Err: iampolicy.ErrConflict}}
		e.Cloud.OnRead = func(read int) {
			if read == round {
				e.relabel(nil)
			}
		}
		if _, err := e.pass(); err == nil {
			t.Error("Reconcile returns no error, and nothing requeues the grant")
		}
		e.wantReaders(foreign)
		e.Cloud.OnRead = nil
		e.mustPass()
		e.wantReaders(foreign)
		e.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
	}
}

// TestApprovalNeedsASelectedNamespace: an approval does not replace the selector, and a
// namespace without its label does not end a pending review.
func TestApprovalNeedsASelectedNamespace(t *testing.T) {
	policy := selectingTeamA()
	policy.Spec.Mode = v1alpha1.ModeApprove
	e := newEnv(t, readers(foreign), policy, requested(nodes))
	e.mustPass()
	e.relabel(nil)
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "Unknown WaitingForApproval")
	e.answer(nodes, v1alpha1.ReviewApproved)
	e.mustPass()
	e.wantReaders(foreign)
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
	e.relabel(map[string]string{"team": "a"})
	e.mustPass()
	e.wantReaders(foreign, nodes)
}
