// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

const (
	// editTimeout bounds one edit with its repetitions. The pass still has time to record
	// the outcome.
	editTimeout = 2 * time.Minute
	// MaxReads bounds how often one edit reads the IAM policy.
	MaxReads = 10
	// maxSends bounds how often a change is sent under one intent.
	maxSends = 2
	// maxRetryAfter is the longest Retry-After for which a worker waits.
	maxRetryAfter = time.Minute
)

// Backoff returns the pauses of one edit after conflicts: up to 1 second, then up to 5, 25
// and 32. One other writer delays a grant by a second at most. Clusters that share a
// repository spread.
func Backoff() *wait.Backoff {
	return &wait.Backoff{Duration: 50 * time.Millisecond, Factor: 5, Jitter: 19, Steps: MaxReads, Cap: 1600 * time.Millisecond}
}

// editing is one edit of a repository's IAM policy: it reads, records the intent and
// writes, until the IAM policy is as the batch wants it.
type editing struct {
	r      *Reconciler
	w      *work
	pauses *wait.Backoff
	// intent is on record for this edit, nil if none is.
	intent *intent
	// stale: a change was out of date when it was sent.
	stale bool
}

// intent is a recorded change, and what became of its writes.
type intent struct {
	etag   string
	change iampolicy.Change
	// sends counts the writes, err is the outcome of the last one.
	sends int
	err   error
	// unanswered: Google did not answer a write, and may still apply it.
	unanswered bool
	// unread: the last write failed, and the IAM policy was not read since.
	unread bool
}

// uncertain reports whether Google may have applied the change, or may still do so.
func (i *intent) uncertain() bool { return i != nil && (i.unanswered || i.unread) }

// edit changes the IAM policy as the batch says. It records each intent before the write.
// The error is ErrUncertain, beside another, if Google may have applied a write despite it.
func (r *Reconciler) edit(ctx context.Context, w *work) (iampolicy.Write, error) {
	ctx, cancel := context.WithTimeout(ctx, editTimeout)
	defer cancel()
	start := r.Clock.Now()
	e := &editing{r: r, w: w, pauses: Backoff()}
	written, err := e.run(ctx)
	metrics.GrantDuration(r.Clock.Since(start))
	if err != nil && e.intent.uncertain() && !errors.Is(err, iampolicy.ErrUncertain) {
		err = fmt.Errorf("%w (%w)", err, iampolicy.ErrUncertain)
	}
	return written, err
}

func (e *editing) run(ctx context.Context) (iampolicy.Write, error) {
	for reads := 1; ; reads++ {
		prepared, err := e.r.Cloud.Prepare(ctx, e.w.repository, e.w.edit())
		if err != nil {
			return iampolicy.Write{}, err
		}
		if err := e.resolve(ctx, prepared); err != nil {
			return iampolicy.Write{}, err
		}
		if prepared.Change().Empty() {
			return iampolicy.Write{Change: prepared.Change(), EtagBefore: prepared.Etag(), EtagAfter: prepared.Etag()}, nil
		}
		written, err := e.write(ctx, prepared)
		if err == nil {
			return written, nil
		}
		pause, again, err := e.afterFailure(ctx, err)
		if !again || reads == MaxReads {
			return iampolicy.Write{}, err
		}
		if stopped := e.r.wait(ctx, pause); stopped != nil {
			return iampolicy.Write{}, fmt.Errorf("%w: %w", err, stopped)
		}
	}
}

// resolve decides by what was read what became of the writes under the intent. While the
// etag is the same, nothing was applied. Once it is another, all of the change is there or
// none of it ever will be.
func (e *editing) resolve(ctx context.Context, prepared Prepared) error {
	i := e.intent
	if i == nil {
		return nil
	}
	maybeApplied := i.uncertain()
	i.unread = false
	switch {
	case prepared.Etag() == i.etag && i.sends >= maxSends:
		return i.err
	case prepared.Etag() == i.etag:
		return nil
	case maybeApplied && applied(i.change, prepared.Change()):
		e.intent = nil
		e.w.leaveOpen() // The outcome that is recorded for an open intent is the operator's own write.
		return nil
	default:
		i.unanswered = false
		return e.clear(ctx)
	}
}

// applied reports whether the IAM policy holds all of the change, by what is left to do.
func applied(change, left iampolicy.Change) bool {
	return subset(change.Added, left.Found) && subset(change.Removed, left.Absent)
}

func subset(members, of []string) bool {
	return !slices.ContainsFunc(members, func(m string) bool { return !slices.Contains(of, m) })
}

// write records the intent and sends the change once.
func (e *editing) write(ctx context.Context, prepared Prepared) (iampolicy.Write, error) {
	if err := e.record(ctx, prepared); err != nil {
		return iampolicy.Write{}, err
	}
	written, err := prepared.Commit(ctx, e.w.reason())
	if err != nil && !errors.Is(err, iampolicy.ErrStale) {
		unanswered := errors.Is(err, iampolicy.ErrUncertain)
		e.intent.sends++
		e.intent.err = err
		e.intent.unanswered = e.intent.unanswered || unanswered
		e.intent.unread = unanswered || errors.Is(err, iampolicy.ErrUnavailable)
	}
	return written, err
}

// record puts the intent on record. An intent that is on record holds for a second write
// under the same etag, if the policies still permit it.
func (e *editing) record(ctx context.Context, prepared Prepared) error {
	change := prepared.Change()
	if e.intent != nil {
		if err := e.r.stillPermitted(ctx, e.w, e.w.of(change.Added)); err != nil {
			return &recordError{err}
		}
		return nil
	}
	if err := e.r.recordIntent(ctx, e.w, change, prepared.Etag()); err != nil {
		return err
	}
	e.intent = &intent{etag: prepared.Etag(), change: change}
	return nil
}

// clear removes the intent from the record: none of its writes was applied, and none will
// be. Until then a member that another writer adds would be taken for the operator's.
func (e *editing) clear(ctx context.Context) error {
	for _, g := range slices.Concat(e.w.add, e.w.remove) {
		if err := e.r.clearIntent(ctx, e.w, g); err != nil {
			return &recordError{err}
		}
	}
	e.intent = nil
	return nil
}

// afterFailure reports whether the edit can succeed if the IAM policy is read again, and
// after which pause.
func (e *editing) afterFailure(ctx context.Context, err error) (pause time.Duration, again bool, _ error) {
	var own *recordError
	switch {
	case errors.As(err, &own):
		return 0, false, err
	case errors.Is(err, iampolicy.ErrConflict):
		if e.intent.unanswered {
			return 0, false, err // The conflict may be due to the unanswered write.
		}
		if err := e.clear(ctx); err != nil {
			return 0, false, err
		}
		return e.pauses.Step(), true, err
	case errors.Is(err, iampolicy.ErrStale):
		again = !e.stale
		e.stale = true
		return 0, again, err
	case errors.Is(err, iampolicy.ErrUncertain):
		return 0, true, err
	case errors.Is(err, iampolicy.ErrUnavailable):
		after := retryAfter(err)
		if after > maxRetryAfter {
			e.intent.sends = maxSends // One more read shows the outcome.
			return 0, true, err
		}
		return max(e.pauses.Step(), after), true, err
	default:
		return 0, false, err
	}
}

// retryAfter is when Google asks to come back, 0 if it does not say.
func retryAfter(err error) time.Duration {
	var google interface{ Obstacle() diagnosis.Obstacle }
	if errors.As(err, &google) {
		return google.Obstacle().RetryAfter
	}
	return 0
}

// waitFor lets the time pass, or stops with the context.
func waitFor(ctx context.Context, d time.Duration) error {
	timer := clock.RealClock{}.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C():
		return ctx.Err()
	}
}
