// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/record"
)

// work is what there is to do on one repository.
type work struct {
	repository imageref.Repository
	// add and remove wait for the policy to be written.
	add, remove []*v1alpha1.PullAccessGrant
	// release needs no write: what it recorded is not, or no longer, the operator's.
	release []*v1alpha1.PullAccessGrant
	// void may not be carried out any more, by the policies or by what it says.
	void map[*v1alpha1.PullAccessGrant]refusal
	// undo are those of remove that are not being deleted: written by an operator
	// that died before it knew, and not allowed any more since.
	undo map[*v1alpha1.PullAccessGrant]refusal
	// interrupted are those whose intent was on record before this pass.
	interrupted map[string]bool
}

func (w *work) empty() bool { return len(w.add) == 0 && len(w.remove) == 0 }

func (w *work) edit() iampolicy.Edit {
	return iampolicy.Edit{Add: members(w.add), Remove: members(w.remove)}
}

func members(grants []*v1alpha1.PullAccessGrant) []string {
	var all []string
	for _, g := range grants {
		all = append(all, g.Spec.Member)
	}
	return all
}

// drop takes the grants of one member out of the work and returns them.
func (w *work) drop(member string) []*v1alpha1.PullAccessGrant {
	named := w.of([]string{member})
	without := func(g *v1alpha1.PullAccessGrant) bool { return slices.Contains(named, g) }
	w.add, w.remove = slices.DeleteFunc(w.add, without), slices.DeleteFunc(w.remove, without)
	return named
}

// of lists those grants of the work whose members are named.
func (w *work) of(named []string) []*v1alpha1.PullAccessGrant {
	var found []*v1alpha1.PullAccessGrant
	for _, g := range slices.Concat(w.add, w.remove) {
		if slices.ContainsFunc(named, func(m string) bool { return iampolicy.SameMember(m, g.Spec.Member) }) {
			found = append(found, g)
		}
	}
	return found
}

// reason is what Cloud Audit Logs keep with the write: the grants it is for.
func (w *work) reason() string {
	var names []string
	for _, g := range slices.Concat(w.add, w.remove) {
		names = append(names, g.Name)
	}
	reason := "pull-access-operator: PullAccessGrant " + strings.Join(names, ", ")
	if more := fmt.Sprintf(" and more, %d in all", len(names)); len(reason) > iampolicy.MaxReason {
		reason = reason[:iampolicy.MaxReason-len(more)] + more
	}
	return reason
}

// byRepository is the index of grants by the resource name of their repository.
const byRepository = "spec.repository"

// observe reads the grants on the repository and the policies, and sorts out
// what is to be done.
func (r *Reconciler) observe(ctx context.Context, repository imageref.Repository) (*work, error) {
	var grants v1alpha1.PullAccessGrantList
	if err := r.Client.List(ctx, &grants, client.MatchingFields{byRepository: repository.ResourceName()}); err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	var policies v1alpha1.PullAccessPolicyList
	if err := r.Client.List(ctx, &policies); err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	w := &work{
		repository:  repository,
		void:        map[*v1alpha1.PullAccessGrant]refusal{},
		undo:        map[*v1alpha1.PullAccessGrant]refusal{},
		interrupted: map[string]bool{},
	}
	for i := range grants.Items {
		g := &grants.Items[i]
		w.interrupted[g.Name] = record.Interrupted(g)
		switch {
		case g.DeletionTimestamp != nil:
			w.take(g)
		case !record.Granted(g):
			r.consider(ctx, w, g, policies.Items)
		}
	}
	return w, nil
}

// take sorts a grant that is being deleted: what the operator added, or may have
// added when it died, is taken out; everything else is left as it is.
func (w *work) take(g *v1alpha1.PullAccessGrant) {
	switch {
	case !slices.Contains(g.Finalizers, v1alpha1.Finalizer):
	case g.Status.Origin == v1alpha1.OriginAdded || g.Status.Origin == "" && record.Interrupted(g):
		w.remove = append(w.remove, g)
	default:
		w.release = append(w.release, g)
	}
}

// consider asks once more whether the grant may be written: its record may be
// old, or somebody else's than the operator's.
func (r *Reconciler) consider(ctx context.Context, w *work, g *v1alpha1.PullAccessGrant, policies []v1alpha1.PullAccessPolicy) {
	repository := r.Cloud.Repository(ctx, w.repository)
	switch {
	case g.Name != decision.GrantName(w.repository, g.Spec.Member):
		w.void[g] = refusal{
			v1alpha1.ReasonWriteRefused, metav1.ConditionFalse,
			"The grant's name is not that of its repository and member, so the operator did not make it; delete it.",
		}
	case !decision.Permits(policies, w.repository, diagnosis.IsVirtual(repository), g.Spec.Member):
		if record.Interrupted(g) {
			w.remove = append(w.remove, g)
			w.undo[g] = policyGone
		} else {
			w.void[g] = policyGone
		}
	case repository.State != diagnosis.Present:
		w.void[g] = unreadable(w.repository, repository)
	default:
		w.add = append(w.add, g)
	}
}

var policyGone = refusal{
	v1alpha1.ReasonPolicyGone, metav1.ConditionFalse,
	"No PullAccessPolicy in mode Enforce allows this grant, so it is not written; delete it, or let a policy allow it.",
}
