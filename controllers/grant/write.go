// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

// ensureFinalizer keeps the grant from vanishing with access left behind.
func (r *Reconciler) ensureFinalizer(ctx context.Context, g *v1alpha1.PullAccessGrant) error {
	before := g.DeepCopy()
	if g.DeletionTimestamp != nil || !controllerutil.AddFinalizer(g, v1alpha1.Finalizer) {
		return nil
	}
	if err := r.Client.Patch(ctx, g, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("set finalizer on grant %s: %w", g.Name, err)
	}
	r.Grants.Wrote(g)
	return nil
}

// annotate repeats a person's denial or revocation beside the status.
func (r *Reconciler) annotate(ctx context.Context, g *v1alpha1.PullAccessGrant) error {
	before := g.DeepCopy()
	metav1.SetMetaDataAnnotation(&g.ObjectMeta, v1alpha1.ReviewAnnotation, string(grantstatus.RefusedBy(g)))
	if err := r.Client.Patch(ctx, g, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("annotate grant %s: %w", g.Name, err)
	}
	r.Grants.Wrote(g)
	return nil
}

// patch changes the grant's status and writes what that changed.
func (r *Reconciler) patch(ctx context.Context, g *v1alpha1.PullAccessGrant, change func()) error {
	return r.write(ctx, g, outcome.PatchStatus, change)
}

// write changes the grant's status, in the grant's turn; where it fails, the grant is as it
// was. That workloads have joined it since it was read changes nothing of what this pass
// goes by, and in a storm there are always some; whatever else has changed has the API
// server refuse the write.
func (r *Reconciler) write(ctx context.Context, g *v1alpha1.PullAccessGrant, write outcome.Writer, change func()) error {
	defer r.Grants.Take(g.Name)()
	if fresh, err := r.Grants.Read(ctx, r.Client, g.Name); err == nil && onlyJoined(g, fresh) {
		fresh.DeepCopyInto(g)
	}
	before := g.DeepCopy()
	change()
	if err := r.Grants.Write(ctx, r.Client, before, g, write); err != nil {
		before.DeepCopyInto(g)
		return err
	}
	return nil
}

// onlyJoined tells whether all that has changed is which workloads wait.
func onlyJoined(before, after *v1alpha1.PullAccessGrant) bool {
	joined := before.DeepCopy()
	joined.ResourceVersion, joined.ManagedFields = after.ResourceVersion, after.ManagedFields
	joined.Status.Workloads, joined.Status.RecoveredWorkloads = after.Status.Workloads, after.Status.RecoveredWorkloads
	now := after.DeepCopy()
	for _, g := range []*v1alpha1.PullAccessGrant{joined, now} { // Both are made from the rest.
		g.Status.ObservedGeneration = 0
		meta.RemoveStatusCondition(&g.Status.Conditions, v1alpha1.ConditionReady)
	}
	return equality.Semantic.DeepEqual(joined, now)
}
