// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/record"
)

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
		end:         map[*v1alpha1.PullAccessGrant]v1alpha1.EndReason{},
		announce:    map[*v1alpha1.PullAccessGrant]*v1alpha1.Ending{},
		interrupted: map[string]bool{},
		intended:    map[string]bool{},
	}
	for i := range grants.Items {
		g := &grants.Items[i]
		w.interrupted[g.Name] = record.Interrupted(g)
		switch {
		case g.DeletionTimestamp != nil:
			w.take(g)
		case record.Granted(g):
			r.considerEnd(ctx, w, g, policies.Items)
		case !record.Ended(g):
			r.consider(ctx, w, g, policies.Items)
		}
	}
	return w, nil
}

// considerEnd asks whether the grant has come to its end: by time, or because no
// policy names it any more. It is announced first, and taken back when it is due.
func (r *Reconciler) considerEnd(ctx context.Context, w *work, g *v1alpha1.PullAccessGrant, policies []v1alpha1.PullAccessPolicy) {
	virtual := diagnosis.IsVirtual(r.Cloud.Repository(ctx, w.repository))
	named := decision.Names(policies, w.repository, virtual, g.Spec.Member)
	now := r.Clock.Now()
	end, again := record.EndOf(g, named, now)
	switch {
	case end != nil && !end.DueTime.After(now):
		w.remove = append(w.remove, g)
		w.end[g] = end.Reason
	case !equality.Semantic.DeepEqual(end, g.Status.Ending):
		w.announce[g] = end
	case end == nil && record.Interrupted(g):
		w.add = append(w.add, g) // Its end was begun, and called off since.
	}
	if w.again.IsZero() || !again.IsZero() && again.Before(w.again) {
		w.again = again
	}
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
	case !iampolicy.IsServiceAccountMember(g.Spec.Member):
		w.void[g] = describe(iampolicy.ErrMember, w.repository)
	case !decision.Permits(policies, w.repository, diagnosis.IsVirtual(repository), g.Spec.Member):
		if record.Interrupted(g) {
			w.remove = append(w.remove, g)
			w.undo[g] = policyGone
		} else {
			w.void[g] = policyGone
		}
	case !diagnosis.Openable(repository):
		w.void[g] = unreadable(w.repository, repository)
	default:
		w.add = append(w.add, g)
	}
}

var policyGone = refusal{
	v1alpha1.ReasonPolicyGone, metav1.ConditionFalse,
	"No PullAccessPolicy in mode Enforce allows this grant, so it is not written; delete it, or let a policy allow it.",
}

// errNotPermitted says that the policies have changed since the pass began; the
// next pass says so on the record.
var errNotPermitted = errors.New("no policy permits it any more")

func (r *Reconciler) stillPermitted(ctx context.Context, w *work, members []string) error {
	var policies v1alpha1.PullAccessPolicyList
	if err := r.Client.List(ctx, &policies); err != nil {
		return fmt.Errorf("list policies: %w", err)
	}
	virtual := diagnosis.IsVirtual(r.Cloud.Repository(ctx, w.repository))
	for _, member := range members {
		if !decision.Permits(policies.Items, w.repository, virtual, member) {
			return errNotPermitted
		}
	}
	return nil
}
