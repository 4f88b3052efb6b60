// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package grant carries out PullAccessGrants: it is the one writer of the IAM
// policies of repositories.
//
// Work is queued per repository, so that all members that wait for one
// repository go in by one read-modify-write, and no two writes of ours race.
// Intent is recorded on every grant before the policy is sent, and the outcome
// after: dying in between leaves a trace that the next start completes.
package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// Cloud is the way to a repository's IAM policy. There is no plain get or set:
// nobody can write without having read.
type Cloud interface {
	// Repository reads whether the repository is there, and of what kind.
	Repository(ctx context.Context, repository imageref.Repository) diagnosis.Repository
	// Absent names those of the members that are not in the one binding that the
	// operator edits. Errors are those of iampolicy.
	Absent(ctx context.Context, repository imageref.Repository, members []string) ([]string, error)
	// EditPolicy reads the policy, applies edit and writes it back under the etag it
	// read, all again when another writer came first. What is about to change is
	// on record before each write. The reason goes to Cloud Audit Logs. Errors are
	// those of iampolicy.
	EditPolicy(ctx context.Context, repository imageref.Repository, edit iampolicy.Edit, reason string, record Recorder) (iampolicy.Write, error)
}

// Recorder keeps on record what is about to be sent.
type Recorder = interface {
	// Intend is called before each write, with the etag that it goes by. If it fails,
	// nothing is sent.
	Intend(ctx context.Context, intended iampolicy.Change, etag string) error
	// Withdraw is called after a write that another writer's overtook: of what is on
	// record nothing is under way.
	Withdraw(ctx context.Context) error
}

// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccesspolicies,verbs=list;watch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants,verbs=list;watch;patch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants,verbs=write-status
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler reconciles repositories: their policy against the grants on record.
type Reconciler struct {
	Client   client.Client
	Cloud    Cloud
	Recorder events.Recorder
	Clock    clock.PassiveClock
	// Ledger counts what the policies' limits are about.
	Ledger *limit.Ledger
	// Grants are written by those, too, that put on their record what waits for them.
	Grants *outcome.Grants

	// checked is when each repository was last looked at for members that were taken
	// out. It may be lost: they are then looked at once more.
	checked *cache.LRUExpireCache
}

// New completes a reconciler.
func New(r Reconciler) *Reconciler {
	r.checked = cache.NewLRUExpireCacheWithClock(repositoriesKept, r.Clock)
	return &r
}

// repositoriesKept bounds how many repositories are remembered.
const repositoriesKept = 4096

// recheckAfter is when a grant that Google refused is tried again: by then
// somebody may have followed the advice in its condition.
const recheckAfter = 10 * time.Minute

// editTimeout bounds one read-modify-write with its repetitions. It leaves time in
// the pass to put the outcome on record.
const editTimeout = 2 * time.Minute

// Reconcile brings every grant on repository to its end: in the policy, out of
// it, or refused with the reason on record.
func (r *Reconciler) Reconcile(ctx context.Context, repository imageref.Repository) (reconcile.Result, error) {
	w, err := r.observe(ctx, repository)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("observe: %w", err)
	}
	errs := []error{r.settle(ctx, w)}
	refused := len(w.void) > 0
	for queue := []*work{w}; len(queue) > 0; queue = queue[1:] {
		batch := queue[0]
		if batch.empty() {
			continue
		}
		written, err := r.edit(ctx, batch)
		if err == nil {
			errs = append(errs, r.complete(ctx, batch, written))
			continue
		}
		refused = true
		if errors.Is(err, iampolicy.ErrUncertain) {
			batch.leaveOpen()
		}
		culprit, parts := batch.split(err)
		queue = append(queue, parts...)
		if culprit != nil {
			errs = append(errs, r.afterError(ctx, culprit, err))
		}
	}
	err = errors.Join(errs...)
	if err != nil {
		r.checked.Remove(repository) // What was seen to be gone may not have got on record.
	}
	return outcome.Of(r.next(w, refused), err)
}

// next is when to look again: for what was refused, and for the next grant to end.
func (r *Reconciler) next(w *work, refused bool) reconcile.Result {
	var result reconcile.Result
	if refused {
		result.RequeueAfter = recheckAfter
	}
	if until := w.again.Sub(r.Clock.Now()); !w.again.IsZero() && (!refused || until < recheckAfter) {
		result.RequeueAfter = max(until, soon)
	}
	return result
}

// soon is a wait that is none to people, and more than none to a queue.
const soon = time.Second

func (r *Reconciler) edit(ctx context.Context, w *work) (iampolicy.Write, error) {
	ctx, cancel := context.WithTimeout(ctx, editTimeout)
	defer cancel()
	start := r.Clock.Now()
	written, err := r.Cloud.EditPolicy(ctx, w.repository, w.edit(), w.reason(), intents{r, w})
	metrics.GrantDuration(r.Clock.Since(start))
	return written, err
}

// afterError is the one place where an error of the cloud becomes a retry with
// backoff (an error), or a condition with the next step and a late second look.
func (r *Reconciler) afterError(ctx context.Context, w *work, err error) error {
	if own := (*recordError)(nil); errors.As(err, &own) {
		return errors.Join(err, r.withdraw(ctx, w))
	}
	if errors.Is(err, iampolicy.ErrNotFound) {
		// A repository that is gone took the access with it.
		if err := r.releaseAll(ctx, w); err != nil {
			return err
		}
	}
	refusal := describe(err, w.repository)
	var errs []error
	for _, g := range slices.Concat(w.add, w.remove) {
		settled := w.settled(g)
		err := r.refuse(ctx, w, g, refusal, settled)
		if err == nil && settled { // Else the intent stays open, and what it has used up with it.
			r.releaseCount(w, g)
		}
		errs = append(errs, err)
	}
	if refusal.status == metav1.ConditionUnknown {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
