// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// work is what there is to do on one repository.
type work struct {
	repository imageref.Repository
	// add and remove wait for the policy to be written.
	add, remove []*v1alpha1.PullAccessGrant
	// release needs no write: what it recorded is not, or no longer, the operator's.
	release []*v1alpha1.PullAccessGrant
	// void may not be carried out any more, by the policies or by what it says.
	void map[*v1alpha1.PullAccessGrant]refusal
	// undo are those of remove that are not being deleted: written by an operator
	// that died before it knew, and not allowed any more since.
	undo map[*v1alpha1.PullAccessGrant]refusal
	// end are those of remove that have come to their end, announce those that are
	// about to, or no more (nil); again is when the next of them has to be looked at.
	end      map[*v1alpha1.PullAccessGrant]v1alpha1.EndReason
	announce map[*v1alpha1.PullAccessGrant]*v1alpha1.Ending
	again    time.Time
	// interrupted are those with a write of unknown outcome behind them, of an
	// earlier pass or of this one; intended those whose intent was put on record
	// since: the policy was read without them.
	interrupted, intended map[string]bool
}

func (w *work) empty() bool { return len(w.add) == 0 && len(w.remove) == 0 }

func (w *work) edit() iampolicy.Edit {
	return iampolicy.Edit{Add: members(w.add), Remove: members(w.remove)}
}

func members(grants []*v1alpha1.PullAccessGrant) []string {
	var all []string
	for _, g := range grants {
		all = append(all, g.Spec.Member)
	}
	return all
}

// settled tells whether no write of unknown outcome can be behind the grant: none
// was begun, or this pass has read the policy and found it without effect.
func (w *work) settled(g *v1alpha1.PullAccessGrant) bool {
	return !w.interrupted[g.Name] || w.intended[g.Name]
}

// leaveOpen notes that what this batch meant to write may have taken effect all
// the same: for the rest of the pass it counts as interrupted.
func (w *work) leaveOpen() {
	for _, g := range slices.Concat(w.add, w.remove) {
		if w.intended[g.Name] {
			w.interrupted[g.Name] = true
			delete(w.intended, g.Name)
		}
	}
}

// split sorts out who is to blame for a refusal. One member that Google refuses
// must keep out no other, and must keep no revocation from being done: culprit
// is what the refusal is about, nil while that is not known, and parts are to be
// tried without it.
func (w *work) split(err error) (culprit *work, parts []*work) {
	var missing *iampolicy.MissingMemberError
	switch {
	case len(w.add)+len(w.remove) == 1:
		return w, nil
	case errors.As(err, &missing):
		his := w.of([]string{missing.Member})
		return w.only(his), []*work{w.without(his)}
	case !errors.Is(err, iampolicy.ErrOrgPolicy) && !errors.Is(err, iampolicy.ErrInvalid) &&
		!errors.Is(err, iampolicy.ErrTooManyPrincipals) && !errors.Is(err, iampolicy.ErrMember):
		return w, nil // It is about all of them.
	case len(w.remove) > 0 && len(w.add) > 0:
		return nil, []*work{w.without(w.add), w.without(w.remove)}
	}
	for _, g := range slices.Concat(w.add, w.remove) {
		parts = append(parts, w.only([]*v1alpha1.PullAccessGrant{g}))
	}
	return nil, parts
}

func (w *work) only(grants []*v1alpha1.PullAccessGrant) *work {
	return w.narrowed(func(g *v1alpha1.PullAccessGrant) bool { return slices.Contains(grants, g) })
}

func (w *work) without(grants []*v1alpha1.PullAccessGrant) *work {
	return w.narrowed(func(g *v1alpha1.PullAccessGrant) bool { return !slices.Contains(grants, g) })
}

// narrowed is the work on those grants that keep names.
func (w *work) narrowed(keep func(*v1alpha1.PullAccessGrant) bool) *work {
	drop := func(g *v1alpha1.PullAccessGrant) bool { return !keep(g) }
	part := *w
	part.add = slices.DeleteFunc(slices.Clone(w.add), drop)
	part.remove = slices.DeleteFunc(slices.Clone(w.remove), drop)
	return &part
}

// of lists those grants of the work whose members are named.
func (w *work) of(members []string) []*v1alpha1.PullAccessGrant {
	var found []*v1alpha1.PullAccessGrant
	for _, g := range slices.Concat(w.add, w.remove) {
		if named(members, g) {
			found = append(found, g)
		}
	}
	return found
}

// reason is what Cloud Audit Logs keep with the write: the grants it is for.
func (w *work) reason() string {
	var names []string
	for _, g := range slices.Concat(w.add, w.remove) {
		names = append(names, g.Name)
	}
	reason := "pull-access-operator: PullAccessGrant " + strings.Join(names, ", ")
	if more := fmt.Sprintf(" and more, %d in all", len(names)); len(reason) > iampolicy.MaxReason {
		reason = reason[:iampolicy.MaxReason-len(more)] + more
	}
	return reason
}
