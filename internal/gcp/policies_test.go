// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// reads counts the policy reads that arrived.
func (g *google) reads() int { return g.count("GetIamPolicy") }

// wantCalls fails unless so many policies were read and written by now.
func (g *google) wantCalls(t *testing.T, reads, sets int, why string) {
	t.Helper()
	if g.reads() != reads || g.sets() != sets {
		t.Errorf("%d reads and %d writes, want %d and %d: %s", g.reads(), g.sets(), reads, sets, why)
	}
}

func (g *google) wantReaders(t *testing.T, want ...string) {
	t.Helper()
	got := slices.Sorted(slices.Values(g.readers()))
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("readers (-want +got)\n%s", diff)
	}
}

func (g *google) wantAccess(t *testing.T, member string, want diagnosis.State) {
	t.Helper()
	if got := g.client.Access(t.Context(), services, member); got.State != want {
		t.Errorf("access of %s is %+v, want state %d", member, got, want)
	}
}

var addBoth = iampolicy.Edit{Add: []string{nodesMember, batchMember}}

// TestOneReadAndOneWrite is how a storm goes, as far as Google sees it.
func TestOneReadAndOneWrite(t *testing.T) {
	g := newGoogle(t)
	g.foreignWrite(human)
	before := g.Policy(services.ResourceName())
	var all sync.WaitGroup
	for _, member := range []string{nodesMember, batchMember, nodesMember, batchMember} {
		all.Go(func() { g.wantAccess(t, member, diagnosis.Missing) })
	}
	all.Wait()
	var recorded intents
	write, err := g.editPolicy(t, addBoth, &recorded)
	if err != nil {
		t.Fatalf("EditPolicy: %v", err)
	}
	want := Write{
		Change: iampolicy.Change{Added: addBoth.Add}, Attempts: 1,
		EtagBefore: etagOf(before), EtagAfter: etagOf(g.Policy(services.ResourceName())),
	}
	if diff := cmp.Diff(want, write); diff != "" {
		t.Errorf("write (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{etagOf(before)}, recorded.etags); diff != "" {
		t.Errorf("the intent is recorded with the etag that is sent (-want +got)\n%s", diff)
	}
	g.wantReaders(t, human, nodesMember, batchMember)
	g.wantCalls(t, 1, 1, "one policy serves all members and the edit")
	g.clock.Step(writtenTTL)
	g.wantAccess(t, nodesMember, diagnosis.Present)
	g.wantAccess(t, batchMember, diagnosis.Present)
	g.wantCalls(t, 1, 1, "who was let in by us is in")
	g.clock.Step(time.Nanosecond)
	g.wantAccess(t, nodesMember, diagnosis.Present)
	g.wantCalls(t, 2, 1, "not for ever")
}

// TestUnsentEditSpendsNothing: where the API server does not take the intent, the next
// attempt rests on the same read.
func TestUnsentEditSpendsNothing(t *testing.T) {
	g := newGoogle(t)
	g.wantAccess(t, nodesMember, diagnosis.Missing)
	if _, err := g.client.EditPolicy(t.Context(), services, add, "", &noRecord{}); !errors.Is(err, errLost) {
		t.Fatalf("got %v, want %v", err, errLost)
	}
	if _, err := g.editPolicy(t, add, &intents{}); err != nil {
		t.Fatal(err)
	}
	g.wantCalls(t, 1, 1, "nothing had been sent")
}

func TestPoliciesAreRememberedBriefly(t *testing.T) {
	g := newGoogle(t)
	g.wantAccess(t, nodesMember, diagnosis.Missing)
	g.foreignWrite(nodesMember, batchMember)
	g.clock.Step(briefTTL)
	g.wantAccess(t, batchMember, diagnosis.Missing)
	g.wantCalls(t, 1, 0, "it was read just now")
	g.clock.Step(time.Nanosecond)
	g.wantAccess(t, batchMember, diagnosis.Present)
	g.wantCalls(t, 2, 0, "others write too")
	g.InjectFault(gcpemulator.Fault{Method: "GetIamPolicy", HTTPStatus: http.StatusForbidden, Times: 1})
	g.clock.Step(time.Hour)
	g.wantAccess(t, nodesMember, diagnosis.Unknown)
	g.wantAccess(t, nodesMember, diagnosis.Present)
	g.wantCalls(t, 4, 0, "what could not be read is not known")
}

// TestOthersAreLookedForAfterOurWrite: our own write tells for long who is in, and
// briefly who is not.
func TestOthersAreLookedForAfterOurWrite(t *testing.T) {
	g := newGoogle(t)
	if _, err := g.editPolicy(t, add, &intents{}); err != nil {
		t.Fatalf("EditPolicy: %v", err)
	}
	g.foreignWrite(nodesMember, batchMember)
	g.clock.Step(briefTTL)
	g.wantAccess(t, batchMember, diagnosis.Missing)
	g.wantCalls(t, 1, 1, "we wrote just now")
	g.clock.Step(time.Nanosecond)
	g.wantAccess(t, nodesMember, diagnosis.Present)
	g.wantCalls(t, 1, 1, "who was let in is in")
	g.wantAccess(t, batchMember, diagnosis.Present)
	g.wantAccess(t, batchMember, diagnosis.Present)
	g.wantCalls(t, 2, 1, "somebody may have let it in since")
}

func TestMemoryIsNoReasonToDoNothing(t *testing.T) {
	full := func(g *google) { g.SetPolicy(services.ResourceName(), crowded(iampolicy.MaxPrincipals)) }
	for name, tc := range map[string]struct {
		before, since func(*google)
		edit          iampolicy.Edit
		want          iampolicy.Change
		reads, sets   int
		why           string
	}{
		"was there, and is gone": {
			before: func(g *google) { g.foreignWrite(nodesMember, human) }, since: func(g *google) { g.foreignWrite(human) },
			edit: add, want: iampolicy.Change{Added: []string{nodesMember}}, reads: 2, sets: 1,
			why: "a member is found where it is, not where it was",
		},
		"is still there": {
			before: func(g *google) { g.foreignWrite(nodesMember) }, since: func(*google) {},
			edit: add, want: iampolicy.Change{Found: []string{nodesMember}}, reads: 2,
			why: "it is read before it is believed",
		},
		"was not there, and came": {
			before: func(g *google) { g.foreignWrite(human) }, since: func(g *google) { g.foreignWrite(human, nodesMember) },
			edit: remove, want: iampolicy.Change{Removed: []string{nodesMember}}, reads: 2, sets: 1,
			why: "nor is it absent where it was absent",
		},
		"was full, and is not": {
			before: full, since: func(g *google) { g.foreignWrite(human) },
			edit: add, want: iampolicy.Change{Added: []string{nodesMember}}, reads: 2, sets: 1,
			why: "a refusal is of today's policy",
		},
		"was read without an etag": {
			before: func(g *google) {
				g.InjectFault(gcpemulator.Fault{Method: "GetIamPolicy", HTTPStatus: http.StatusOK, Body: `{}`, Times: 1})
			},
			since: func(*google) {},
			edit:  add, want: iampolicy.Change{Added: []string{nodesMember}}, reads: 2, sets: 1,
			why: "the guard's refusal is of what is read for the edit",
		},
		"was empty, and is full": {
			before: func(*google) {}, since: full,
			edit: remove, want: iampolicy.Change{Absent: []string{nodesMember}}, reads: 2,
			why: "there is nothing to take out",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			tc.before(g)
			g.client.Access(t.Context(), services, nodesMember)
			tc.since(g)
			write, err := g.editPolicy(t, tc.edit, &intents{})
			if err != nil {
				t.Fatalf("EditPolicy: %v", err)
			}
			want := Write{Change: tc.want, EtagBefore: write.EtagBefore, EtagAfter: write.EtagAfter, Attempts: 1}
			if diff := cmp.Diff(want, write); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tc.why, diff)
			}
			g.wantCalls(t, tc.reads, tc.sets, tc.why)
		})
	}
}

// TestForeignWriteSinceTheRead: what is remembered is sent under its own etag, which
// Google does not take any more.
func TestForeignWriteSinceTheRead(t *testing.T) {
	for name, tc := range map[string]struct {
		since []string
		want  iampolicy.Change
		sets  int
	}{
		"of somebody else": {since: []string{human}, want: iampolicy.Change{Added: addBoth.Add}, sets: 2},
		"of one of ours": {
			since: []string{human, batchMember}, sets: 2,
			want: iampolicy.Change{Added: []string{nodesMember}, Found: []string{batchMember}},
		},
		"of both": {since: []string{human, nodesMember, batchMember}, want: iampolicy.Change{Found: addBoth.Add}, sets: 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			g.wantAccess(t, nodesMember, diagnosis.Missing)
			g.wantAccess(t, batchMember, diagnosis.Missing)
			g.foreignWrite(tc.since...)
			write, err := g.editPolicy(t, addBoth, &intents{})
			if err != nil {
				t.Fatalf("EditPolicy: %v", err)
			}
			if diff := cmp.Diff(tc.want, write.Change); diff != "" || write.Attempts != 2 {
				t.Errorf("%d attempts, want one in vain and one (-want +got)\n%s", write.Attempts, diff)
			}
			g.wantReaders(t, human, nodesMember, batchMember)
			g.wantCalls(t, 2, tc.sets, "after a conflict it is read anew")
			g.wantAccess(t, nodesMember, diagnosis.Present)
		})
	}
}

// TestAfterAnEditNothingOlderIsBelieved: whatever came of it.
func TestAfterAnEditNothingOlderIsBelieved(t *testing.T) {
	set := func(f gcpemulator.Fault) gcpemulator.Fault { f.Method = "SetIamPolicy"; return f }
	for name, tc := range map[string]struct {
		fault   gcpemulator.Fault
		wantErr error
		change  iampolicy.Change
		access  diagnosis.State
		reads   int
		why     string
	}{
		"refused":          {fault: set(gcpemulator.Fault{HTTPStatus: http.StatusForbidden}), wantErr: iampolicy.ErrForbidden, access: diagnosis.Missing, reads: 2, why: "the read before it is spent"},
		"conflict, always": {fault: set(gcpemulator.Fault{HTTPStatus: http.StatusConflict}), wantErr: iampolicy.ErrConflict, access: diagnosis.Missing, reads: maxConflicts + 1, why: "one attempt rests on what was known"},
		"unavailable after the write": {
			fault:  set(gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable, Times: 1, After: true}),
			change: iampolicy.Change{Added: []string{nodesMember}}, access: diagnosis.Present, reads: 3,
			why: "it is read to see what became of the write, and for the next who asks",
		},
		"outcome never told": {
			fault:   set(gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable}),
			wantErr: iampolicy.ErrUncertain, access: diagnosis.Missing, reads: maxAttempts + 1, why: "it may have been written",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			g.wantAccess(t, nodesMember, diagnosis.Missing)
			g.InjectFault(tc.fault)
			write, err := g.editPolicy(t, add, &intents{})
			if !errors.Is(err, tc.wantErr) {
				t.Fatalf("got %v, want %v", err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.change, write.Change); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			g.wantAccess(t, nodesMember, tc.access)
			if g.reads() != tc.reads {
				t.Errorf("%d reads, want %d: %s", g.reads(), tc.reads, tc.why)
			}
		})
	}
}

// TestDeletedSinceTheRead: Google names another member's account as missing, which
// the policy that is read then shows as deleted.
func TestDeletedSinceTheRead(t *testing.T) {
	g := newGoogle(t)
	g.foreignWrite(batchMember)
	g.wantAccess(t, nodesMember, diagnosis.Missing)
	g.DeleteServiceAccount(batch)
	g.clock.onWait = once(func() { g.foreignWrite("deleted:" + batchMember + "?uid=7") })
	write, err := g.editPolicy(t, add, &intents{})
	if err != nil {
		t.Fatalf("EditPolicy: %v", err)
	}
	if diff := cmp.Diff(iampolicy.Change{Added: []string{nodesMember}}, write.Change); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	g.wantCalls(t, 2, 2, "one attempt by what was known, one by what is")
}

// TestAnEditSpendsWhatWasRead: no second one is begun with it, nor with our own write.
func TestAnEditSpendsWhatWasRead(t *testing.T) {
	g := newGoogle(t)
	g.wantAccess(t, nodesMember, diagnosis.Missing)
	known := g.client.spendPolicy(services)
	if known == nil || g.client.spendPolicy(services) != nil {
		t.Error("want what was read given to the first, and nothing to the second")
	}
	g.wantAccess(t, batchMember, diagnosis.Missing)
	g.wantCalls(t, 1, 0, "while an edit is on its way, access is as it was")
	for n, edit := range []iampolicy.Edit{add, {Add: []string{batchMember}}} {
		if _, err := g.editPolicy(t, edit, &intents{}); err != nil {
			t.Fatalf("EditPolicy: %v", err)
		}
		g.wantCalls(t, n+2, n+1, "it is read for each edit")
	}
	g.wantReaders(t, nodesMember, batchMember)
}

// TestContestedIsReadAnew: where others write too, what was read a while ago costs a
// write in vain each time.
func TestContestedIsReadAnew(t *testing.T) {
	g := newGoogle(t)
	g.wantAccess(t, nodesMember, diagnosis.Missing)
	g.foreignWrite(human)
	if write, err := g.editPolicy(t, add, &intents{}); err != nil || write.Attempts != 2 {
		t.Fatalf("EditPolicy: %v after %d attempts, want a conflict before", err, write.Attempts)
	}
	g.wantCalls(t, 2, 2, "it was read once for access, and once after the conflict")
	edit := func(e iampolicy.Edit, reads, sets int, why string) {
		t.Helper()
		if _, err := g.client.Absent(t.Context(), services, addBoth.Add); err != nil {
			t.Fatalf("Absent: %v", err)
		}
		if _, err := g.editPolicy(t, e, &intents{}); err != nil {
			t.Fatalf("EditPolicy: %v", err)
		}
		g.wantCalls(t, reads, sets, why)
	}
	g.clock.Step(contestedTTL - time.Minute)
	edit(remove, 4, 3, "there was a conflict")
	g.clock.Step(2 * time.Minute)
	edit(add, 5, 4, "it was long ago")
}

func TestAbsentReadsAnew(t *testing.T) {
	g := newGoogle(t)
	if _, err := g.editPolicy(t, add, &intents{}); err != nil {
		t.Fatalf("EditPolicy: %v", err)
	}
	g.foreignWrite(human)
	g.wantAccess(t, nodesMember, diagnosis.Present)
	g.wantCalls(t, 1, 1, "our own write is believed")
	absent, err := g.client.Absent(t.Context(), services, []string{nodesMember})
	if diff := cmp.Diff([]string{nodesMember}, absent); err != nil || diff != "" {
		t.Errorf("Absent: %v (-want +got)\n%s", err, diff)
	}
	g.wantCalls(t, 2, 1, "whether it stays is looked for")
	g.wantAccess(t, nodesMember, diagnosis.Missing)
	g.wantCalls(t, 2, 1, "what was seen replaces what was written")
}

// TestAnEditLeavesWhatIsRemembered: many look at it at the same time.
func TestAnEditLeavesWhatIsRemembered(t *testing.T) {
	g := newGoogle(t)
	g.SetPolicy(services.ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{bound("roles/viewer", human), bound(iampolicy.Role, human)}})
	g.wantAccess(t, nodesMember, diagnosis.Missing)
	known, _ := g.client.knownPolicyOf(t.Context(), services)
	before := proto.CloneOf(known.Policy)
	if _, err := g.editPolicy(t, add, &intents{}); err != nil {
		t.Fatalf("EditPolicy: %v", err)
	}
	if diff := cmp.Diff(before, known.Policy, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	g.wantCalls(t, 1, 1, "it was the one that the edit began with")
}

func TestPoliciesAreBounded(t *testing.T) {
	g := newGoogle(t)
	for i := range maxPolicies + 1 {
		g.client.keepWritten(imageref.Repository{Name: fmt.Sprint(i)}, &iampb.Policy{})
	}
	if kept := len(g.client.shared.policies.answers.Keys()); kept != maxPolicies {
		t.Errorf("%d policies are kept, want %d", kept, maxPolicies)
	}
}
