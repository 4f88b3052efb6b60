// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// notNeededAfter is how long no pod needs a grant that is not written until it ends. A
// rollout, a scale-down and a drained node take pods away for less.
const notNeededAfter = 15 * time.Minute

// pollDemand is how often a grant that no pod needs is evaluated again.
const pollDemand = time.Minute

// needed reports whether the operator may go on with the grant: a pod needs it now, its
// write was begun, or a person approved this request or may still review it.
func (r *Reconciler) needed(w *work, g *v1alpha1.PullAccessGrant, policy *v1alpha1.PullAccessPolicy) bool {
	_, demanded := r.Demand.Of(g.Name)
	leave, _ := grantstatus.LeaveOf(g, policy, r.Clock.Now())
	reviewed := g.Status.Proposal != nil && grantstatus.ApprovedByPerson(g)
	return demanded || w.interrupted[g.Name] || reviewed || leave == grantstatus.LeavePending || leave == grantstatus.LeaveRefused
}

// considerAbsence handles a grant that is not needed: it ends once no pod has needed it for
// long enough, and waits until then. Before the pods of the first list are evaluated, its
// record stays as it is.
func (r *Reconciler) considerAbsence(w *work, g *v1alpha1.PullAccessGrant) {
	now := r.Clock.Now()
	since, absent := r.Demand.AbsentSince(g.Name)
	if absent && now.Sub(since) >= notNeededAfter {
		w.close(g, v1alpha1.EndNotNeeded)
		return
	}
	w.wake(now.Add(pollDemand))
	r.unneeded.Add(g.Name, true, 2*pollDemand)
	if _, demanded := r.Demand.Of(g.Name); demanded { // The need came before it could wake the grant.
		w.wake(now)
		return
	}
	if absent {
		w.change(g, func() { grantstatus.AwaitDemand(g) }, nil)
	}
}

// takeUnneeded reports once whether a pass has found that no pod needs the grant: a need
// wakes it then. A need of any other grant ends no wait for others on its repository.
func (r *Reconciler) takeUnneeded(name string) bool {
	_, found := r.unneeded.Get(name)
	r.unneeded.Remove(name)
	return found
}

// selectsNamespace reports whether the policy selects, by its labels of now, a namespace
// that needs the grant: one of the pods that need it, or, if no pod does, one of the
// workloads on record. A deleted namespace is not selected.
func (r *Reconciler) selectsNamespace(ctx context.Context, policy *v1alpha1.PullAccessPolicy, g *v1alpha1.PullAccessGrant) (bool, error) {
	for _, name := range r.namespaces(g) {
		labels, omitted, err := workload.NamespaceLabels(ctx, r.Client, name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("grant %s: %w", g.Name, err)
		}
		if decision.SelectsNamespace(policy, decision.Pod{Namespace: name, NamespaceLabels: labels, NamespaceLabelsOmitted: omitted}) {
			return true, nil
		}
	}
	return false, nil
}

func (r *Reconciler) namespaces(g *v1alpha1.PullAccessGrant) []string {
	needs, demanded := r.Demand.Of(g.Name)
	if !demanded {
		return grantstatus.Namespaces(g)
	}
	var names []string
	for _, claim := range needs.Claims {
		names = append(names, claim.Pod.Namespace)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
