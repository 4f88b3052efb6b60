// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"errors"
	"slices"
	"time"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// work is what there is to do on one repository.
type work struct {
	repository imageref.Repository
	policies   []v1alpha1.PullAccessPolicy
	// add and remove wait for the policy to be written.
	add, remove []*v1alpha1.PullAccessGrant
	// release needs no write: what it recorded is not, or no longer, the operator's.
	release []*v1alpha1.PullAccessGrant
	// void may not be carried out any more, by the policies or by what it says.
	void map[*v1alpha1.PullAccessGrant]refusal
	// undo are those of remove that are not being deleted: written by an operator
	// that died before it knew, and not allowed any more since.
	undo map[*v1alpha1.PullAccessGrant]refusal
	// end are those that come to their end, after a write where they are among remove.
	end map[*v1alpha1.PullAccessGrant]v1alpha1.EndReason
	// changes are to be put on record, and told then.
	changes []change
	// again is when there is next something to be looked at; parts of a work share it.
	again *time.Time
	// interrupted are those with a write of unknown outcome behind them, of an
	// earlier pass or of this one; intended those whose intent was put on record
	// since: the policy was read without them.
	interrupted, intended map[string]bool
	// counted has what a limit has counted in this pass, by the name of the grant.
	counted map[string]limit.Act
}

// change is one that needs no write in the cloud.
type change struct {
	grant *v1alpha1.PullAccessGrant
	do    func()
	// tell says so once it is on record; nil if there is nothing to say.
	tell func()
}

func newWork(repository imageref.Repository, policies []v1alpha1.PullAccessPolicy) *work {
	return &work{
		repository:  repository,
		policies:    policies,
		again:       &time.Time{},
		void:        map[*v1alpha1.PullAccessGrant]refusal{},
		undo:        map[*v1alpha1.PullAccessGrant]refusal{},
		end:         map[*v1alpha1.PullAccessGrant]v1alpha1.EndReason{},
		interrupted: map[string]bool{},
		intended:    map[string]bool{},
		counted:     map[string]limit.Act{},
	}
}

// take sorts a grant that is being deleted: what the operator added, or may have
// added when it died, is taken out, unless others may need it; everything else is
// left as it is.
func (w *work) take(g *v1alpha1.PullAccessGrant) {
	mayBeOurs := g.Status.Origin == "" && w.interrupted[g.Name]
	switch {
	case !slices.Contains(g.Finalizers, v1alpha1.Finalizer):
	case mayBeOurs, !grantstatus.Stays(g):
		w.remove = append(w.remove, g)
	default:
		w.release = append(w.release, g)
	}
}

// close ends a grant: by a write where the operator has added the member, or may
// have, and else on record only.
func (w *work) close(g *v1alpha1.PullAccessGrant, reason v1alpha1.EndReason) {
	w.end[g] = reason
	if grantstatus.Granted(g) && !grantstatus.Stays(g) || !grantstatus.Granted(g) && w.interrupted[g.Name] {
		w.remove = append(w.remove, g)
	}
}

// refuse keeps a grant from being written, and undoes what was begun of it.
func (w *work) refuse(g *v1alpha1.PullAccessGrant, why refusal) {
	if w.interrupted[g.Name] {
		w.remove = append(w.remove, g)
		w.undo[g] = why
	} else {
		w.void[g] = why
	}
}

func (w *work) change(g *v1alpha1.PullAccessGrant, do, tell func()) {
	w.changes = append(w.changes, change{g, do, tell})
}

// wake has the repository looked at again by then; zero is never.
func (w *work) wake(at time.Time) {
	if w.again.IsZero() || !at.IsZero() && at.Before(*w.again) {
		*w.again = at
	}
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
	return !w.interrupted[g.Name]
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
	return message.BoundedRequestReason(iampolicy.MaxReason, names...)
}
