// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

// record is what a text tells: one attempt per credential, mirror or registry
// that was tried.
type record struct {
	attempts [8]attempt
	last     int
	// marks are those of all attempts.
	marks mark
}

// attempt is one try: the strongest words, and what goes with them.
type attempt struct {
	causes causeSet
	rank   rank
	marks  mark
	// start and end are where the strongest words stand.
	start, end int
	// status is the first HTTP status, where the text holds one.
	status int
	// server is who gave it, or who was asked and gave no answer, where the text says so.
	server server
}

// take adds words to the open attempt. The strongest stay; of equals, what
// they have in common, else the first.
func (r *record) take(causes causeSet, rank rank, marks mark, start, end int) {
	a := &r.attempts[r.last]
	if marks&(opens|again) != 0 && a.rank > weak {
		if r.last+1 < len(r.attempts) {
			r.last++
			a = &r.attempts[r.last]
		} else {
			marks |= unlikely // Too many to keep apart.
		}
	}
	if rank == mute && marks&explained != 0 && a.rank < status {
		return // docker puts "unknown:" before words of its own.
	}
	if marks&other != 0 && r.marks&(other|pulls) == 0 {
		marks |= elsewhere
	}
	a.marks |= marks
	r.marks |= marks
	switch {
	case rank > a.rank:
		a.causes, a.rank, a.start, a.end = causes, rank, start, end
	case rank == mute || a.causes&causes == 0:
	case rank == a.rank, a.rank == status && rank == word && !a.causes.single():
		a.causes &= causes // The words explain what a status leaves open.
	}
}

// answer keeps the first status of the open attempt: what follows it may be
// the registry's own text.
func (r *record) answer(status int, server server) {
	if a := &r.attempts[r.last]; a.status == 0 {
		a.status, a.server = status, server
	}
}

// unanswered keeps who was asked when no answer came.
func (r *record) unanswered(server server) {
	if a := &r.attempts[r.last]; a.server.host == "" {
		a.server = server
	}
}

// merge weighs the attempts together. It gives the one that tells the most,
// and the causes that all of them leave open.
func (r *record) merge(image string) (best *attempt, set causeSet) {
	for i := range r.attempts[:r.last+1] {
		a := &r.attempts[i]
		if a.causes == 0 || a.marks&again != 0 && best != nil && best.rank > hint {
			continue
		}
		a.settle(image, r.marks)
		switch {
		case best == nil || best.rank <= hint:
			best, set = a, a.causes
		case a.rank <= hint || a.causes == set:
		case r.marks&many != 0:
			set |= a.causes
		default:
			best, set = together(best, a, set)
		}
	}
	return best, set
}

// together weighs two tries at one image: the one that got further tells more,
// and a try that learnt nothing takes nothing from one that did.
func together(best, a *attempt, set causeSet) (*attempt, causeSet) {
	for _, further := range []causeSet{readImage, missing, permissionDenied, unauthenticated} {
		switch {
		case set.single() && set&further != 0:
			return best, set
		case a.causes.single() && a.causes&further != 0:
			return a, a.causes
		}
	}
	return best, set | a.causes
}
