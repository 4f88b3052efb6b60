// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// settle finishes what needs no write in the cloud.
func (r *Reconciler) settle(ctx context.Context, w *work) error {
	var errs []error
	for _, c := range w.changes {
		if err := r.patch(ctx, c.grant, c.do); err != nil {
			errs = append(errs, err)
		} else if c.tell != nil {
			c.tell()
		}
	}
	for _, g := range w.release {
		errs = append(errs, r.release(ctx, g))
	}
	for g, refusal := range w.void {
		errs = append(errs, r.refuse(ctx, w, g, refusal, w.settled(g)))
		if refusal.status == metav1.ConditionUnknown {
			errs = append(errs, fmt.Errorf("read repository %s: %w", w.repository, iampolicy.ErrUnavailable))
		}
	}
	for g, reason := range w.end {
		if !slices.Contains(w.remove, g) {
			errs = append(errs, r.ended(ctx, w, g, reason))
		}
	}
	return errors.Join(errs...)
}

// recordError says that nothing was sent because of our own side: the API server did not
// take the record, or the policies have changed. Where others wrote first it is nothing
// else than that, and the pass is soon repeated.
type recordError struct{ why error }

// Error implements error.
func (e *recordError) Error() string { return "record intent: " + e.why.Error() }

// Unwrap gives what kept it from being recorded.
func (e *recordError) Unwrap() error { return e.why }

// intents are those of a batch, on the records of its grants.
type intents struct {
	r *Reconciler
	w *work
}

// Intend implements Recorder.
func (i intents) Intend(ctx context.Context, intended iampolicy.Change, etag string) error {
	return i.r.intend(ctx, i.w, intended, etag)
}

// Withdraw implements Recorder. If the process dies after others wrote first,
// the next one must not take for the operator's what they may have added.
func (i intents) Withdraw(ctx context.Context) error {
	for _, g := range slices.Concat(i.w.add, i.w.remove) {
		if err := i.r.takeBack(ctx, i.w, g); err != nil {
			return &recordError{err}
		}
	}
	return nil
}

// intend puts on record what is about to be sent. The policies are asked a last time: a
// write may have waited for minutes.
func (r *Reconciler) intend(ctx context.Context, w *work, intended iampolicy.Change, etag string) error {
	adding := w.of(intended.Added)
	if err := r.stillPermitted(ctx, w, adding); err != nil {
		return &recordError{err}
	}
	for _, g := range w.of(slices.Concat(intended.Added, intended.Removed)) {
		if err := r.ensureFinalizer(ctx, g); err != nil {
			return &recordError{err}
		}
		added := named(intended.Added, g)
		log.FromContext(ctx).Info("Writing policy", "PullAccessGrant", klog.KObj(g), "repository", w.repository.String(),
			"member", g.Spec.Member, "adding", added)
		if open := g.Status.Write; w.interrupted[g.Name] && open != nil && open.EtagBefore != etag {
			delete(w.interrupted, g.Name) // Google takes no write any more that goes by an older policy, and this one is without it.
		}
		w.intended[g.Name] = true
		if err := r.write(ctx, g, outcome.ConfirmStatus, func() { grantstatus.Intend(g, added, etag, r.Clock.Now()) }); err != nil {
			if !outcome.MayHaveLanded(err) {
				delete(w.intended, g.Name)
			}
			return &recordError{err}
		}
	}
	return nil
}

// takeBack withdraws the grant's intent where it is certain that nothing was written. It
// asks also where none is seen: the answer that it is on record may have been lost.
func (r *Reconciler) takeBack(ctx context.Context, w *work, g *v1alpha1.PullAccessGrant) error {
	if !w.intended[g.Name] || w.interrupted[g.Name] {
		return nil
	}
	if err := r.write(ctx, g, outcome.ConfirmStatus, func() { grantstatus.Withdraw(g) }); err != nil {
		return err
	}
	delete(w.intended, g.Name)
	return nil
}

// withdraw takes back the intents of a batch of which nothing was sent.
func (r *Reconciler) withdraw(ctx context.Context, w *work) error {
	var errs []error
	for _, g := range slices.Concat(w.add, w.remove) {
		err := r.takeBack(ctx, w, g)
		if err == nil && w.settled(g) { // Else the intent stays open, and what it has used up with it.
			r.releaseCount(w, g)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// complete puts on record what was done. A member that was found although an
// earlier intent of ours was left open is ours: that write took effect.
func (r *Reconciler) complete(ctx context.Context, w *work, written iampolicy.Write) error {
	var errs []error
	for _, g := range w.add {
		origin := v1alpha1.OriginAdded
		if !named(written.Change.Added, g) && !w.interrupted[g.Name] {
			origin = v1alpha1.OriginFound
			r.releaseCount(w, g)
		}
		errs = append(errs, r.granted(ctx, w, g, origin, written.EtagAfter))
	}
	r.releaseUnsent(w, written.Change.Removed)
	for _, g := range w.remove {
		refused, undone := w.undo[g]
		reason, ended := w.end[g]
		switch {
		case undone:
			errs = append(errs, r.refuse(ctx, w, g, refused, true))
		case ended:
			errs = append(errs, r.ended(ctx, w, g, reason))
		default:
			errs = append(errs, r.revoked(ctx, g))
		}
	}
	return errors.Join(errs...)
}

func named(members []string, g *v1alpha1.PullAccessGrant) bool {
	return slices.ContainsFunc(members, func(m string) bool { return iampolicy.SameMember(m, g.Spec.Member) })
}

func (r *Reconciler) granted(ctx context.Context, w *work, g *v1alpha1.PullAccessGrant, origin v1alpha1.GrantOrigin, etag string) error {
	policy := r.policyOf(w, g)
	if err := r.patch(ctx, g, func() {
		grantstatus.Grant(g, origin, etag, r.Clock.Now())
		grantstatus.Begin(g, policy.Spec.Grant, r.Clock.Now())
		g.Status.Lifetime.MaxRevocationsPerHour = policy.Spec.Limits.MaxRevocationsPerHour
		r.lengthen(w, g)
	}); err != nil {
		return err
	}
	r.begin(w, g)
	say, result := events.AccessGranted, v1alpha1.ReasonAccessGranted
	if origin == v1alpha1.OriginFound {
		say, result = events.AccessFound, v1alpha1.ReasonAlreadyGranted
	}
	say(r.Recorder, g, policy, g)
	say(r.Recorder, policy, g, g)
	metrics.Grant(result)
	return nil
}

// lengthen has the grant last as long as any policy wants it to by which a workload
// waits for it.
func (r *Reconciler) lengthen(w *work, g *v1alpha1.PullAccessGrant) {
	for i := range g.Status.Workloads {
		if policy := policyNamed(w.policies, g.Status.Workloads[i].Policy); policy != nil {
			grantstatus.Lengthen(g, policy.Name, policy.Spec.Grant, r.Clock.Now())
		}
	}
}

// ended puts on record, and tells, that the grant has come to its end.
func (r *Reconciler) ended(ctx context.Context, w *work, g *v1alpha1.PullAccessGrant, reason v1alpha1.EndReason) error {
	if err := r.patch(ctx, g, func() { grantstatus.End(g, reason, r.Clock.Now()) }); err != nil {
		return err
	}
	r.tellEnd(w, g, reason)
	return nil
}

// revoked says so and lets the grant go; saying it twice after a crash between
// the two does no harm.
func (r *Reconciler) revoked(ctx context.Context, g *v1alpha1.PullAccessGrant) error {
	events.AccessRevoked(r.Recorder, g)
	metrics.Grant(v1alpha1.ReasonAccessRevoked)
	return r.release(ctx, g)
}

// releaseAll lets go what is being deleted, without a write.
func (r *Reconciler) releaseAll(ctx context.Context, w *work) error {
	var errs []error
	for _, g := range w.remove {
		if g.DeletionTimestamp != nil {
			errs = append(errs, r.release(ctx, g))
		}
	}
	w.remove = slices.DeleteFunc(w.remove, func(g *v1alpha1.PullAccessGrant) bool { return g.DeletionTimestamp != nil })
	return errors.Join(errs...)
}

// release lets a grant that is being deleted go, and says where its member stays.
func (r *Reconciler) release(ctx context.Context, g *v1alpha1.PullAccessGrant) error {
	if g.Status.Origin != "" && grantstatus.Stays(g) {
		events.AccessKept(r.Recorder, g, grantstatus.Fate(g))
	}
	before := g.DeepCopy()
	if !controllerutil.RemoveFinalizer(g, v1alpha1.Finalizer) {
		return nil
	}
	err := r.Client.Patch(ctx, g, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("release grant %s: %w", g.Name, err)
	}
	r.Grants.Forget(g.Name)
	return nil
}

// refuse puts the refusal on record, and tells it when it is news. settled says
// that no write can have taken effect.
func (r *Reconciler) refuse(ctx context.Context, w *work, g *v1alpha1.PullAccessGrant, refused refusal, settled bool) error {
	last := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady)
	news := last == nil || last.Reason != refused.reason || !strings.HasPrefix(last.Message, diagnosis.WithoutNote(refused.sentence)) // A note may follow the sentence.
	if err := r.patch(ctx, g, func() { grantstatus.Refuse(g, refused.status, refused.reason, refused.sentence, settled) }); err != nil || !news {
		return err
	}
	log.FromContext(ctx).V(1).Info("Recorded refusal", "PullAccessGrant", klog.KObj(g), "reason", refused.reason)
	policy := r.policyOf(w, g)
	events.GrantRefused(r.Recorder, g, policy, refused.reason, refused.sentence)
	events.GrantRefused(r.Recorder, policy, g, refused.reason, refused.sentence)
	metrics.Grant(refused.reason)
	return nil
}

// policyOf is the policy under which the grant is asked for, as far as it is still
// there; an event about it needs no more than its name.
func (r *Reconciler) policyOf(w *work, g *v1alpha1.PullAccessGrant) *v1alpha1.PullAccessPolicy {
	if policy := policyNamed(w.policies, grantstatus.PolicyName(g)); policy != nil {
		return policy
	}
	return &v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: grantstatus.PolicyName(g)}}
}
