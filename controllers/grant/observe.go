// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
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
	policies, err := r.policies(ctx)
	if err != nil {
		return nil, err
	}
	w := newWork(repository, policies)
	var standing []*v1alpha1.PullAccessGrant
	for i := range grants.Items {
		g := &grants.Items[i]
		w.repeatReview(g)
		w.interrupted[g.Name] = grantstatus.Bound(g) && grantstatus.Interrupted(g)
		switch {
		case !grantstatus.Bound(g):
			w.unbind(g, r.Clock.Now())
		case g.DeletionTimestamp != nil:
			w.take(g)
		case grantstatus.Granted(g):
			standing = append(standing, g)
		case !grantstatus.Ended(g):
			if err := r.consider(ctx, w, g); err != nil {
				return nil, err
			}
		}
	}
	if err := r.lookAfter(ctx, w, standing); err != nil {
		return nil, err
	}
	return w, r.holdBack(ctx, w)
}

func (r *Reconciler) policies(ctx context.Context) ([]v1alpha1.PullAccessPolicy, error) {
	var policies v1alpha1.PullAccessPolicyList
	if err := r.Client.List(ctx, &policies); err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	return policies.Items, nil
}

// policyNamed is the one of that name, nil if there is none.
func policyNamed(policies []v1alpha1.PullAccessPolicy, name string) *v1alpha1.PullAccessPolicy {
	i := slices.IndexFunc(policies, func(p v1alpha1.PullAccessPolicy) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &policies[i]
}

// errNotPermitted says that the policies have changed since the pass began; the
// next pass says so on the record.
var errNotPermitted = errors.New("no policy permits it any more")

// stillPermitted asks once more, by the policies as they are now, whether those that
// are about to be added may be.
func (r *Reconciler) stillPermitted(ctx context.Context, w *work, adding []*v1alpha1.PullAccessGrant) error {
	policies, err := r.policies(ctx)
	if err != nil {
		return err
	}
	virtual := diagnosis.IsVirtual(r.Cloud.Repository(ctx, w.repository))
	for _, g := range adding {
		policy := policyNamed(policies, grantstatus.PolicyName(g))
		if policy == nil || !decision.Permits(policy, w.repository, virtual, g.Spec.Member) {
			return errNotPermitted
		}
		if leave, _ := grantstatus.LeaveOf(g, policy, r.Clock.Now()); leave != grantstatus.LeaveGiven {
			return errNotPermitted
		}
		if selected, err := r.selectsNamespace(ctx, policy, g); err != nil || !selected {
			return cmp.Or(err, errNotPermitted)
		}
		if !r.needed(w, g, policy) {
			return errNotPermitted
		}
	}
	return nil
}
