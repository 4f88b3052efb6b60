// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// busy is Google's answer that asks to come back later.
type busy time.Duration

func (b busy) Error() string { return "slow down" }
func (b busy) Unwrap() error { return iampolicy.ErrUnavailable }
func (b busy) Obstacle() diagnosis.Obstacle {
	return diagnosis.Obstacle{Kind: diagnosis.Unavailable, RetryAfter: time.Duration(b)}
}

// foreignWrites returns a function that writes as somebody else does: after each call that
// has readers, the repository has these.
func foreignWrites(e *env, byCall map[int][]string) func(call int) {
	return func(call int) {
		if readers := byCall[call]; readers != nil {
			e.Cloud.SetReaders(repository.Name, readers...)
			e.Cloud.IAMPolicies[repository.Name].Etag = fmt.Appendf(nil, "etag-foreign-%p-%d", readers, call)
		}
	}
}

// TestEdit checks what one pass makes of the answers to its writes.
func TestEdit(t *testing.T) {
	unavailable, refused, stale := iampolicy.ErrUnavailable, iampolicy.ErrForbidden, iampolicy.ErrStale
	type answer = controllertest.Answer
	for name, tc := range map[string]struct {
		answers []answer
		// before and after are writes by somebody else around the read of that number: the
		// readers that they leave. unread are errors of reads.
		before, after map[int][]string
		unread        map[int]error

		want     string // The condition Granted.
		wantOpen bool
		wantSent int
		// wantPause says of each pause whether it takes time.
		wantPause []bool
		origin    v1alpha1.GrantOrigin
		why       string
	}{
		"written": {want: "True AccessGranted", wantSent: 1, origin: v1alpha1.OriginAdded},
		"another writer was first": {
			after: map[int][]string{1: {foreign, spare}}, want: "True AccessGranted", wantSent: 2, wantPause: []bool{true},
			origin: v1alpha1.OriginAdded, why: "the change is prepared again, on top of the other one",
		},
		"another writer was first and added the member": {
			after: map[int][]string{1: {foreign, nodes}}, want: "True AlreadyGranted", wantSent: 1, wantPause: []bool{true},
			origin: v1alpha1.OriginFound, why: "Google did not apply the operator's write",
		},
		"unanswered and not applied": {
			answers: []answer{{Err: errUnanswered}}, want: "True AccessGranted", wantSent: 2, wantPause: []bool{false},
			origin: v1alpha1.OriginAdded, why: "it is read at once, and sent once more under the same intent",
		},
		"unanswered and applied": {
			answers: []answer{{Err: errUnanswered, Applied: true}}, want: "True AccessGranted", wantSent: 1, wantPause: []bool{false},
			origin: v1alpha1.OriginAdded, why: "the read shows the change under another etag",
		},
		"unanswered, and another writer without the member": {
			answers: []answer{{Err: errUnanswered}}, before: map[int][]string{2: {foreign, spare}},
			want: "True AccessGranted", wantSent: 2, wantPause: []bool{false}, origin: v1alpha1.OriginAdded,
			why: "the first write was never applied: its etag is gone",
		},
		"unanswered, never applied, then another writer adds the member": {
			answers: []answer{{Err: errUnanswered}}, before: map[int][]string{2: {foreign, spare}}, after: map[int][]string{2: {foreign, nodes}},
			want: "True AlreadyGranted", wantSent: 2, wantPause: []bool{false, true}, origin: v1alpha1.OriginFound,
			why: "the intent of the first write was cleared",
		},
		"unanswered, then a conflict": {
			answers: []answer{{Err: errUnanswered}}, after: map[int][]string{2: {foreign, nodes}},
			want: "Unknown Conflict", wantOpen: true, wantSent: 2, wantPause: []bool{false},
			why: "the conflict may be due to the first write: the next pass decides",
		},
		"unanswered twice": {
			answers: []answer{{Err: errUnanswered}, {Err: errUnanswered}}, want: "Unknown CloudUnreachable", wantOpen: true, wantSent: 2,
			wantPause: []bool{false, false}, why: "it is sent once more, and not again",
		},
		"unanswered, then unreadable": {
			answers: []answer{{Err: errUnanswered}}, unread: map[int]error{2: unavailable}, want: "Unknown CloudUnreachable", wantOpen: true,
			wantSent: 1, wantPause: []bool{false}, why: "nobody knows",
		},
		"answered with an error": {
			answers: []answer{{Err: unavailable}}, want: "True AccessGranted", wantSent: 2, wantPause: []bool{true},
			origin: v1alpha1.OriginAdded, why: "after a pause it is sent once more",
		},
		"answered with an error, and applied": {
			answers: []answer{{Err: unavailable, Applied: true}}, want: "True AccessGranted", wantSent: 1, wantPause: []bool{true},
			origin: v1alpha1.OriginAdded, why: "the read shows the change",
		},
		"answered with errors": {
			answers: []answer{{Err: unavailable}, {Err: unavailable}}, want: "Unknown CloudUnreachable", wantSent: 2, wantPause: []bool{true, true},
			why: "the read shows the same etag, so the intent is closed",
		},
		"answered with an error, then unreadable": {
			answers: []answer{{Err: unavailable}}, unread: map[int]error{2: unavailable}, want: "Unknown CloudUnreachable", wantOpen: true,
			wantSent: 1, wantPause: []bool{true}, why: "no read has shown that it was not applied",
		},
		"answered with an error, then a conflict": {
			answers: []answer{{Err: unavailable}}, after: map[int][]string{2: {foreign, nodes}},
			want: "True AlreadyGranted", wantSent: 2, wantPause: []bool{true, true}, origin: v1alpha1.OriginFound,
			why: "the second read showed that the first write was not applied",
		},
		"asked to come back tomorrow": {
			answers: []answer{{Err: busy(24 * time.Hour)}}, want: "Unknown CloudUnreachable", wantSent: 1, wantPause: []bool{false},
			why: "no worker waits for long; the read closes the intent",
		},
		"refused after an unanswered write": {
			answers: []answer{{Err: errUnanswered}, {Err: refused}}, want: "False CloudForbidden", wantOpen: true, wantSent: 2,
			wantPause: []bool{false}, why: "the first write may still be applied",
		},
		"refused after an answered write": {
			answers: []answer{{Err: unavailable}, {Err: refused}}, want: "False CloudForbidden", wantSent: 2, wantPause: []bool{true},
			why: "both are known not to be applied",
		},
		"refused": {answers: []answer{{Err: refused}}, want: "False CloudForbidden", wantSent: 1, why: "it is not tried again"},
		"out of date": {
			answers: []answer{{Err: stale}}, want: "True AccessGranted", wantSent: 2, wantPause: []bool{false}, origin: v1alpha1.OriginAdded,
			why: "it is prepared again",
		},
		"out of date, then another writer adds the member": {
			answers: []answer{{Err: stale}}, before: map[int][]string{2: {foreign, nodes}}, want: "True AlreadyGranted", wantSent: 1,
			wantPause: []bool{false}, origin: v1alpha1.OriginFound, why: "nothing of the operator's was applied",
		},
		"out of date twice": {
			answers: []answer{{Err: stale}, {Err: stale}}, want: "Unknown CloudUnreachable", wantSent: 2, wantPause: []bool{false},
			why: "attempts are bounded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign), enforcing(), requested(nodes))
			etagBefore := e.Cloud.Etag(repository.Name)
			e.Cloud.Answers = tc.answers
			e.nextEdits(tc.unread[1], tc.unread[2])
			e.Cloud.OnRead = foreignWrites(e, tc.after)
			e.onPause = foreignWrites(e, tc.before)
			_, _ = e.pass()
			g := e.grant(nodes)
			if got := condition(g, v1alpha1.ConditionGranted); got != tc.want {
				t.Errorf("Granted is %q, want %q: %s", got, tc.want, tc.why)
			}
			if got := grantstatus.Interrupted(g); got != tc.wantOpen || len(e.Cloud.Sent) != tc.wantSent || g.Status.Origin != tc.origin {
				t.Errorf("after %d writes the intent is open: %v, the origin is %q; want %d, %v and %q: %s",
					len(e.Cloud.Sent), got, g.Status.Origin, tc.wantSent, tc.wantOpen, tc.origin, tc.why)
			}
			if tc.wantOpen && g.Status.Write.EtagBefore != etagBefore {
				t.Errorf("the intent is of etag %s, want %s, which was read", g.Status.Write.EtagBefore, etagBefore)
			}
			var pauses []bool
			for _, d := range e.pauses {
				pauses = append(pauses, d > 0)
			}
			if diff := cmp.Diff(tc.wantPause, pauses); diff != "" {
				t.Errorf("pauses: %s (-want +got)\n%s", tc.why, diff)
			}
		})
	}
}

// TestEditCountsWhatAnUnansweredWriteDid checks a batch of which an unanswered write was
// applied in part of what is wanted by now: somebody removed another member meanwhile.
func TestEditCountsWhatAnUnansweredWriteDid(t *testing.T) {
	e := newEnv(t, readers(foreign, batch), enforcing(), requested(nodes), requested(batch))
	e.Cloud.Answers = []controllertest.Answer{{Err: errUnanswered, Applied: true}}
	e.onPause = foreignWrites(e, map[int][]string{2: {foreign, nodes}})
	e.mustPass()
	e.wantReaders(foreign, nodes, batch)
	for _, member := range []string{nodes, batch} {
		if g := e.grant(member); g.Status.Origin != v1alpha1.OriginAdded || grantstatus.Interrupted(g) {
			t.Errorf("%s was added by the operator, and on record is %+v", member, g.Status)
		}
	}
	want := []iampolicy.Change{{Added: []string{nodes}, Found: []string{batch}}, {Added: []string{batch}, Found: []string{nodes}}}
	if diff := cmp.Diff(want, e.Cloud.Sent, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Errorf("sent (-want +got)\n%s", diff)
	}
}

// TestAnUnansweredRevocationIsNotRepeated checks that a removal that was applied is done.
func TestAnUnansweredRevocationIsNotRepeated(t *testing.T) {
	e := newEnv(t, readers(foreign, nodes), enforcing(), granted(nodes, v1alpha1.OriginAdded))
	e.Cloud.Answers = []controllertest.Answer{{Err: errUnanswered, Applied: true}}
	e.Delete(e.grant(nodes))
	e.mustPass()
	e.wantReaders(foreign)
	if e.grant(nodes) != nil || len(e.Cloud.Sent) != 1 {
		t.Errorf("after %d writes the grant is %+v, want one write and none", len(e.Cloud.Sent), e.grant(nodes))
	}
}

// TestBackoff checks the longest pauses after conflicts, and that each has jitter.
func TestBackoff(t *testing.T) {
	backoff := Backoff()
	for i, longest := range []time.Duration{time.Second, 5 * time.Second, 25 * time.Second, 32 * time.Second, 32 * time.Second} {
		if pause := backoff.Step(); pause < longest/20 || pause > longest {
			t.Errorf("pause %d is %v, want %v at most, and a twentieth of it at least", i+1, pause, longest)
		}
	}
}

// TestWaitForStops checks that a pause ends with its context.
func TestWaitForStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if err := waitFor(ctx, 0); err != nil {
		t.Errorf("without a pause: %v", err)
	}
	cancel()
	if err := waitFor(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// TestIntentsOnRecord checks in which order intents stand on record, as an operator finds
// them that starts after a crash.
func TestIntentsOnRecord(t *testing.T) {
	type answer = controllertest.Answer
	for name, tc := range map[string]struct {
		answers       []answer
		before, after map[int][]string
		// want are the intents, by which etag they are of; "" is none, "done" an outcome.
		want []string
		why  string
	}{
		"written":    {want: []string{"first", "done"}},
		"conflict":   {after: map[int][]string{1: {foreign}}, want: []string{"first", "", "second", "done"}, why: "nothing of the first intent is under way"},
		"unanswered": {answers: []answer{{Err: errUnanswered}}, want: []string{"first", "done"}, why: "the second write has the same intent"},
		"unanswered, never applied": {
			answers: []answer{{Err: errUnanswered}}, before: map[int][]string{2: {foreign}}, want: []string{"first", "", "second", "done"},
			why: "nothing of the first intent is under way",
		},
		"out of date": {
			answers: []answer{{Err: iampolicy.ErrStale}}, want: []string{"first", "done"},
			why: "an intent that took too long to record is not recorded again",
		},
		"unanswered, applied": {answers: []answer{{Err: errUnanswered, Applied: true}}, want: []string{"first", "done"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign), enforcing(), requested(nodes))
			first := e.Cloud.Etag(repository.Name)
			e.Cloud.Answers, e.Cloud.OnRead, e.onPause = tc.answers, foreignWrites(e, tc.after), foreignWrites(e, tc.before)
			var got []string
			e.Faults = interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
				err := c.SubResource(sub).Patch(ctx, object, patch, options...)
				g, ok := object.(*v1alpha1.PullAccessGrant)
				switch {
				case !ok:
				case g.Status.Write == nil:
					got = append(got, "")
				case !grantstatus.Interrupted(g):
					got = append(got, "done")
				case g.Status.Write.EtagBefore == first:
					got = append(got, "first")
				default:
					got = append(got, "second")
				}
				return err
			}}
			e.mustPass()
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tc.why, diff)
			}
		})
	}
}
