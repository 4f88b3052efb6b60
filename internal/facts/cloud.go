// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// read fills in the facts that are needed. What does not wait for one another is
// asked for at the same time: a round trip to Google takes longer than all else here.
func (o *Observer) read(ctx context.Context, pod *corev1.Pod, need diagnosis.Need, facts *diagnosis.Facts) error {
	var node diagnosis.Node
	if need.Puller {
		var err error
		if node, err = o.readCluster(ctx, pod, facts); err != nil {
			return err
		}
	}
	if o.Cloud == nil {
		return nil
	}
	puller := facts.Puller
	var reads sync.WaitGroup
	if need.Puller && asksAsNode(puller) {
		reads.Go(func() { puller = o.pullerOf(ctx, node, puller) })
	}
	if need.Repository {
		reads.Go(func() { facts.Repository = o.Cloud.Repository(ctx, facts.Reference.Repository) })
	}
	reads.Wait()
	facts.Puller = puller
	if !need.Access {
		o.readContent(ctx, need, facts)
		return nil
	}
	if facts.Puller.Member() == "" || !diagnosis.Openable(facts.Repository) {
		return nil // Settled: what more could be read would not change it.
	}
	return o.readAccess(ctx, need, facts)
}

// readContent asks for the image where the repository itself holds images: what a
// remote or virtual one does not hold it may still serve.
func (o *Observer) readContent(ctx context.Context, need diagnosis.Need, facts *diagnosis.Facts) {
	if need.Content && diagnosis.HoldsImages(facts.Repository) {
		facts.Content = o.Cloud.Content(ctx, facts.Reference)
	}
}

// settleAfter is for how long our own grant counts as there without being looked
// at: the answer would come from before it.
const settleAfter = time.Minute

// readAccess reads who lets the puller in. Our own grant of a moment ago needs no look.
func (o *Observer) readAccess(ctx context.Context, need diagnosis.Need, facts *diagnosis.Facts) error {
	repository, member := facts.Reference.Repository, facts.Puller.Member()
	own, err := o.ownGrant(ctx, decision.GrantName(repository, member))
	if err != nil {
		return err
	}
	granted := own.Status.GrantedTime
	ours := own.DeletionTimestamp == nil && grantstatus.Granted(own) && granted != nil
	if ours && o.Clock.Since(granted.Time) < settleAfter {
		facts.OwnGrant, facts.Access = own.Name, diagnosis.Access{State: diagnosis.Present, Role: iampolicy.Role}
		return nil
	}
	var reads sync.WaitGroup
	reads.Go(func() { facts.Access = o.Cloud.Access(ctx, repository, member) })
	reads.Go(func() { facts.ProjectAccess = o.Cloud.ProjectAccess(ctx, repository, member) })
	reads.Go(func() { facts.Overall = o.Cloud.Overall(ctx, repository, member) })
	reads.Go(func() { o.readContent(ctx, need, facts) })
	reads.Wait()
	// What is there after an intent of ours is ours, also while its record is still to come.
	begun := own.DeletionTimestamp == nil && grantstatus.Interrupted(own) && facts.Access.State == diagnosis.Present
	// What somebody took away stays taken away, for as long as the record says so.
	removed := own.DeletionTimestamp == nil && grantstatus.RemovedExternally(own) && facts.Access.State == diagnosis.Missing
	if ours || begun || removed {
		facts.OwnGrant = own.Name
		facts.OwnGrantFound = own.Status.Origin == v1alpha1.OriginFound
		facts.OwnGrantSettled = ours && grantstatus.Propagated(own, o.Clock.Now())
	}
	return nil
}

// ownGrant reads the record under its name; an empty one if there is none, or if
// the cluster does not know the kind.
func (o *Observer) ownGrant(ctx context.Context, name string) (*v1alpha1.PullAccessGrant, error) {
	own := &v1alpha1.PullAccessGrant{}
	err := o.Client.Get(ctx, client.ObjectKey{Name: name}, own)
	if err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
		return nil, fmt.Errorf("read grant: %w", err)
	}
	return own, nil
}
