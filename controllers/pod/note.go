// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// noteRefusal puts on record what is of use beyond the pod: what a policy in mode
// DryRun has kept from being granted, and that somebody has taken a member out.
func (r *Reconciler) noteRefusal(ctx context.Context, d diagnosis.Diagnosis, refusal *decision.Refusal) error {
	switch {
	case refusal.Would.Member != "":
		return r.noteWould(ctx, refusal.Policy, refusal.Would)
	case d.Reason == diagnosis.RemovedExternally:
		return r.noteRemoved(ctx, d.Facts.OwnGrant)
	default:
		return nil
	}
}

// noteWould lists on the policy what it would have granted, each once, while there is room.
func (r *Reconciler) noteWould(ctx context.Context, name string, would v1alpha1.WouldGrant) error {
	policy := &v1alpha1.PullAccessPolicy{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, policy); err != nil {
		return client.IgnoreNotFound(err)
	}
	known := slices.ContainsFunc(policy.Status.WouldGrant, func(w v1alpha1.WouldGrant) bool {
		return w.Repository == would.Repository && w.Member == would.Member
	})
	if known || len(policy.Status.WouldGrant) >= v1alpha1.MaxWouldGrant {
		return nil
	}
	before := policy.DeepCopy()
	would.FirstTime = metav1.NewTime(r.Clock.Now())
	policy.Status.WouldGrant = append(policy.Status.WouldGrant, would)
	return outcome.PatchStatus(ctx, r.Client, before, policy)
}

// noteRemoved ends a grant whose member the operator had added and somebody else has
// taken out.
func (r *Reconciler) noteRemoved(ctx context.Context, name string) error {
	g := &v1alpha1.PullAccessGrant{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, g); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !grantstatus.Granted(g) || g.Status.Origin != v1alpha1.OriginAdded || grantstatus.Interrupted(g) || g.DeletionTimestamp != nil {
		return nil
	}
	before := g.DeepCopy()
	grantstatus.End(g, v1alpha1.EndRemovedExternally, r.Clock.Now())
	if err := outcome.PatchStatus(ctx, r.Client, before, g); err != nil {
		return fmt.Errorf("grant %s was removed: %w", name, err)
	}
	events.GrantEnded(r.Recorder, g, nil, string(v1alpha1.EndRemovedExternally), grantstatus.Why(g))
	metrics.Grant(string(v1alpha1.EndRemovedExternally))
	return nil
}
