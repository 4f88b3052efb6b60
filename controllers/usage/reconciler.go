// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usage finds out which grants are in use: whether a pod, or the template
// of a workload, refers to the repository for the member.
//
// It looks through the whole cluster page by page, at a slow pace, and holds
// nothing of what it reads. It only keeps the record: that a grant ends for want
// of use is announced and done by the grant stage, and what is unknown counts as
// a use.
package usage

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=list
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get
// +kubebuilder:rbac:groups=apps,resources=deployments;statefulsets;daemonsets;replicasets,verbs=list
// +kubebuilder:rbac:groups=batch,resources=jobs;cronjobs,verbs=list
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants,verbs=list;watch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants/status,verbs=patch

// DefaultInterval is how long the cluster is left alone between two looks.
const DefaultInterval = 10 * time.Minute

const (
	// nodesAtOnce limits the nodes that one reconcile queries.
	nodesAtOnce = 100
	// pagePause is between two such steps, or a tenth of an interval that is short.
	pagePause = time.Second
	// tooLong is when a look that does not come to its end is begun again: what it
	// saw first no longer tells of the cluster.
	tooLong = time.Hour
)

// Cluster is what is reconciled: there is one.
type Cluster struct{}

// Reconciler reconciles the cluster: what is on record of the use of its grants.
// The look that goes on is in its memory, so it has one worker and cannot be copied.
type Reconciler struct {
	// Client reads grants from the cache, and writes their status.
	Client client.Client
	// Live lists from the API server; it must not be a cache.
	Live    workload.Lister
	Nodes   *workload.Nodes
	Pullers workload.Pullers
	Clock   clock.PassiveClock
	// Interval is how long the cluster is left alone between two looks.
	Interval time.Duration

	// look is the one that goes on, nil between two.
	look *look
	// next is when its next step may come.
	next time.Time
	// began and ended are of the last look that came to its end.
	began, ended time.Time
}

// Reconcile does one step: it begins a look, reads a page, or asks for nodes; the
// last step records what was found. Nothing is concluded from a look that has not
// come to its end.
func (r *Reconciler) Reconcile(ctx context.Context, _ Cluster) (reconcile.Result, error) {
	now, pause := r.Clock.Now(), min(pagePause, r.Interval/10)
	if wait := r.next.Sub(now); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil // A grant woke us in between.
	}
	r.next = now.Add(pause)
	if r.look != nil && now.Sub(r.look.start) > tooLong {
		log.FromContext(ctx).V(1).Info("Beginning the look again", "reason", "It took too long")
		r.look = nil
	}
	if r.look == nil {
		if wait, err := r.begin(ctx, now); err != nil || wait > 0 {
			return outcome.Of(reconcile.Result{RequeueAfter: wait}, err)
		}
	}
	if !r.look.over() {
		if err := r.step(ctx); err != nil {
			return outcome.Of(reconcile.Result{}, err)
		}
	}
	if r.look != nil && r.look.over() {
		if err := r.record(ctx); err != nil {
			return outcome.Of(reconcile.Result{}, err)
		}
		r.began, r.ended, r.look = r.look.start, now, nil
	}
	return reconcile.Result{RequeueAfter: pause}, nil
}

// begin begins a look if it is time for one, and says how long to wait if it is
// not. Where no grant is in force there is nothing to look for.
func (r *Reconciler) begin(ctx context.Context, now time.Time) (wait time.Duration, err error) {
	var grants v1alpha1.PullAccessGrantList
	if err := r.Client.List(ctx, &grants); err != nil {
		return 0, fmt.Errorf("list grants: %w", err)
	}
	l := newLook(grants.Items, now)
	if len(l.used) == 0 {
		return r.Interval, nil
	}
	if wait := r.due(grants.Items).Sub(now); wait > 0 {
		return wait, nil
	}
	r.look = l
	return 0, nil
}

// due is when the next look is to begin: when the interval is over, or a grant is
// to end that none has confirmed to be unused since its time came.
func (r *Reconciler) due(grants []v1alpha1.PullAccessGrant) time.Time {
	due := r.ended.Add(r.Interval)
	for i := range grants {
		if end := endOf(&grants[i]); end.After(r.began) && end.Before(due) {
			due = end
		}
	}
	return due
}

// endOf is when the grant ends for want of use, zero if that is not announced.
func endOf(g *v1alpha1.PullAccessGrant) time.Time {
	if end := g.Status.Ending; grantstatus.Granted(g) && end != nil && end.Reason == v1alpha1.EndUnused {
		return end.DueTime.Time
	}
	return time.Time{}
}

// step asks for the accounts that the last page has left open, or reads the next page.
func (r *Reconciler) step(ctx context.Context) error {
	if len(r.look.asks) > 0 {
		return r.ask(ctx)
	}
	return r.read(ctx)
}

// ask asks for the accounts of some nodes. An error leaves the rest to be asked for.
func (r *Reconciler) ask(ctx context.Context) error {
	asked := 0
	for p := range r.look.asks {
		if r.look.open(p.repository) {
			if asked == nodesAtOnce {
				return nil
			}
			asked++
			puller, err := r.Nodes.Puller(ctx, r.Pullers, p.node)
			if err != nil {
				return err
			}
			r.look.usedBy(p.repository, puller)
		}
		delete(r.look.asks, p)
	}
	return nil
}

// read reads one page. A list that the API server can't go on with has changed
// since it was begun, and the look is begun again.
func (r *Reconciler) read(ctx context.Context) error {
	l := r.look
	page := kinds[l.kind]()
	bytes, err := r.Live.Each(ctx, page, l.take, client.Limit(l.size.Limit()), client.Continue(l.token))
	l.size = l.size.After(bytes, err)
	switch {
	case l.token != "" && cutOff(err):
		log.FromContext(ctx).V(1).Info("Beginning the look again", "reason", "The API server could not go on with a list", "pageOf", fmt.Sprintf("%T", page))
		r.look = nil
		return nil
	case err != nil:
		return fmt.Errorf("list a page of %T: %w", page, err)
	}
	if l.token = page.GetContinue(); l.token == "" {
		l.kind++
	}
	return nil
}

// cutOff tells whether the place in a list is lost: it is too old, or of an API
// server that wrote it otherwise.
func cutOff(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsBadRequest(err)
}

// record writes what the look has found on every grant that it is about.
func (r *Reconciler) record(ctx context.Context) error {
	var grants v1alpha1.PullAccessGrantList
	if err := r.Client.List(ctx, &grants); err != nil {
		return fmt.Errorf("list grants: %w", err)
	}
	var errs []error
	for i := range grants.Items {
		if used, about := r.look.finding(&grants.Items[i]); about {
			errs = append(errs, r.write(ctx, &grants.Items[i], used))
		}
	}
	return errors.Join(errs...)
}

// write writes what was found of one grant, where that says anything new.
func (r *Reconciler) write(ctx context.Context, g *v1alpha1.PullAccessGrant, used bool) error {
	before := g.DeepCopy()
	if used {
		grantstatus.MarkUsed(g, r.look.start)
	} else {
		grantstatus.MarkUnused(g, r.look.start)
	}
	was, is := before.Status.Usage, g.Status.Usage
	if err := outcome.PatchStatus(ctx, r.Client, before, g); err != nil {
		return client.IgnoreNotFound(err)
	}
	if was == (v1alpha1.Usage{}) || (was.UnusedSinceTime == nil) != (is.UnusedSinceTime == nil) {
		log.FromContext(ctx).V(1).Info("Recorded use", "PullAccessGrant", klog.KObj(g), "inUse", used)
	}
	return nil
}
