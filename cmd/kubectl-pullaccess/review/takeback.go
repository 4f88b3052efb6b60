// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/declaration"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

// interval is how often the grants are looked at while it waits.
const interval = time.Second

// errGoing and errEnded end what is decided on a grant without a word on it.
var (
	errGoing = errors.New("it is being taken back already")
	errEnded = errors.New("it has ended")
)

// waiter is a grant that is to end, as it was last seen.
type waiter struct {
	name string
	last *v1alpha1.PullAccessGrant
	// fate is what was to become of the member when the word was put on it.
	fate string
	// refused is what Google's refusal was said to be.
	refused string
}

// takeBack says of each grant that it is to end, and waits until they have.
func (r *revoker) takeBack(ctx context.Context, names []string) error {
	var waiters []*waiter
	asked := 0
	err := r.each(ctx, names, func(name string) error {
		w, err := r.revoke(ctx, name)
		if w != nil {
			waiters = append(waiters, w)
		}
		if err == nil {
			asked++
		}
		return err
	})
	left := waiters
	if r.wait && !r.dryRun.On() {
		left = r.await(ctx, waiters)
	}
	switch interrupted := ctx.Err() != nil && (len(left) > 0 || asked < len(names)); {
	case interrupted:
		fmt.Fprintln(r.ErrOut, "Interrupted.")
		if asked < len(names) {
			fmt.Fprintf(r.ErrOut, "Not asked for, or without an answer: %s.\n", report.Count(len(names)-asked, "grant"))
		}
		r.tell(left)
		return exit.ErrLeft
	case len(left) == 0 || !r.wait || r.dryRun.On():
		return err
	default:
		r.tell(left)
		return errors.Join(err, exit.ErrLeft)
	}
}

// revoke puts the word on one grant. What waits for approval is denied, and what is
// being taken back already needs no word more.
func (r *revoker) revoke(ctx context.Context, name string) (*waiter, error) {
	fate, said := "", v1alpha1.ReviewRevoked
	g, err := r.say(ctx, name, func(g *v1alpha1.PullAccessGrant) (v1alpha1.ReviewDecision, error) {
		fate, said = fateOf(g), v1alpha1.ReviewRevoked
		switch {
		case grantstatus.Ended(g):
			return "", errEnded
		case fate == goingAlready:
			return "", errGoing
		case fate == isDenied:
			said = v1alpha1.ReviewDenied
		}
		return said, nil
	})
	switch {
	case errors.Is(err, errEnded) && r.all:
		return nil, r.ended(&waiter{name: name}, g) // It has ended while the question was open.
	case errors.Is(err, errEnded):
		return nil, fmt.Errorf("it has ended already (%s) at %s: nothing is left to be taken back", report.Clean(grantstatus.State(g)), stamp(g.Status.EndedTime.Time))
	case errors.Is(err, errGoing):
		return &waiter{name: name, last: g}, r.unlessWaiting(name, "is "+goingAlready)
	case err != nil:
		return nil, err
	}
	what := "is to be revoked"
	if said == v1alpha1.ReviewDenied {
		what = "denied"
	}
	return &waiter{name: name, last: g, fate: fate}, r.unlessWaiting(name, what+": "+of(g)+member(fate)+r.dryRun.Said())
}

// unlessWaiting says what was done, if what comes of it is not waited for.
func (r *revoker) unlessWaiting(name, what string) error {
	if r.wait && !r.dryRun.On() {
		return nil
	}
	return r.done(name, what)
}

// member says what becomes of the member, where that is not that it is taken out.
func member(fate string) string {
	switch fate {
	case foundThere, usedByOthers:
		return "; the member " + fate
	case notWritten:
		return "; nothing was written"
	default:
		return ""
	}
}

// await looks at the grants until all have ended, the time is over, or it is
// interrupted, and returns those that are left.
func (r *revoker) await(ctx context.Context, waiters []*waiter) []*waiter {
	until := r.clock.Now().Add(r.timeout)
	for first := true; ; first = false {
		left, err := r.look(ctx, waiters)
		waiters = left
		if len(waiters) == 0 || ctx.Err() != nil {
			return waiters
		}
		if first {
			fmt.Fprintf(r.ErrOut, "Waiting up to %s for %s to end.\n", r.timeout, report.Count(len(waiters), "grant"))
		}
		over := !r.clock.Now().Before(until)
		if err != nil && (over || cluster.Refused(err)) {
			fmt.Fprintf(r.ErrOut, "error: %v\n", err)
		}
		if over || cluster.Refused(err) {
			return waiters
		}
		r.sleep(ctx, interval)
	}
}

// look reads the grants once, says what has become of them, and returns those that
// have not ended. An error leaves the rest as they were. An outcome that cannot be
// shown changes nothing.
func (r *revoker) look(ctx context.Context, waiters []*waiter) ([]*waiter, error) {
	var left []*waiter
	for i, w := range waiters {
		g := &v1alpha1.PullAccessGrant{}
		err := cluster.Get(ctx, r.client, w.name, g)
		switch {
		case apierrors.IsNotFound(err):
			_ = r.done(w.name, "is gone")
			continue
		case err != nil:
			return append(left, waiters[i:]...), err
		case grantstatus.Ended(g):
			_ = r.ended(w, g)
			continue
		}
		w.last = g
		r.tellRefusal(w)
		left = append(left, w)
	}
	return left, nil
}

// ended says how a grant has ended.
func (r *revoker) ended(w *waiter, g *v1alpha1.PullAccessGrant) error {
	switch state := grantstatus.State(g); state {
	case string(v1alpha1.EndRevoked), string(v1alpha1.EndDenied):
		return r.done(w.name, strings.ToLower(state)+": "+of(g)+member(w.fate))
	default:
		return r.done(w.name, "has ended ("+report.Clean(state)+"): "+of(g)+member(w.fate))
	}
}

// tellRefusal says once why Google refuses to take a member out.
func (r *revoker) tellRefusal(w *waiter) {
	why := refusalOf(w.last)
	if why == "" || why == w.refused {
		return
	}
	w.refused = why
	fmt.Fprintf(r.ErrOut, "%s is not taken back yet: %s\n", report.Clean(w.name), why)
}

// refusalOf is why the member could not be taken out, "" if it was not refused.
func refusalOf(g *v1alpha1.PullAccessGrant) string {
	if g.Status.RefusedRevocations == 0 {
		return ""
	}
	ready := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Message == "" {
		return fmt.Sprintf("Google has refused it %d times.", g.Status.RefusedRevocations)
	}
	return report.Clean(ready.Message)
}

// tell says what is left, what goes on by itself, and how to force it where Google refuses.
func (r *revoker) tell(left []*waiter) {
	if len(left) == 0 {
		return
	}
	fmt.Fprintf(r.ErrOut, "Not taken back yet: %s. The operator goes on by itself; kubectl pullaccess grants NAME shows how far it is.\n", report.Count(len(left), "grant"))
	for i, w := range left {
		if i == listed {
			fmt.Fprintf(r.ErrOut, "  … and %d more\n", len(left)-listed)
			break
		}
		fmt.Fprintf(r.ErrOut, "  %s (%s)\n", report.Clean(w.name), report.Clean(grantstatus.State(w.last)))
	}
	for _, w := range left {
		if command := declaration.Remove(w.last); w.refused != "" && command != "" {
			fmt.Fprintf(r.ErrOut, `
Google refuses to let the operator take the member of %s out. Who may can do it by hand:
  %s
To drop the record and leave the access as it is:
  kubectl delete pullaccessgrant %s --wait=false
  kubectl patch pullaccessgrant %s --type=merge --patch='{"metadata":{"finalizers":null}}'
`, w.name, command, w.name, w.name)
			return // One shows how.
		}
	}
}
