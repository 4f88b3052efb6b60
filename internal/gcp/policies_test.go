// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
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

// TestOneReadForAccessAndOneForTheWrite is how many grants at once go, as Google sees it.
func TestOneReadForAccessAndOneForTheWrite(t *testing.T) {
	g := newGoogle(t)
	g.foreignWrite(human)
	var all sync.WaitGroup
	for _, member := range []string{nodesMember, batchMember, nodesMember, batchMember} {
		all.Go(func() { g.wantAccess(t, member, diagnosis.Missing) })
	}
	all.Wait()
	prepared := g.prepare(t, addBoth)
	g.wantAccess(t, nodesMember, diagnosis.Missing)
	g.wantCalls(t, 2, 0, "the read for the write also serves access")
	if _, err := prepared.Commit(t.Context(), ""); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	g.wantReaders(t, human, nodesMember, batchMember)
	g.clock.Step(writtenTTL)
	g.wantAccess(t, nodesMember, diagnosis.Present)
	g.wantAccess(t, batchMember, diagnosis.Present)
	g.wantCalls(t, 2, 1, "Google's answer to the write serves access for five minutes")
	g.clock.Step(time.Nanosecond)
	g.wantAccess(t, nodesMember, diagnosis.Present)
	g.wantCalls(t, 3, 1, "not for ever")
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
	g.mustEdit(t, add)
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

// TestPrepareReadsAgain checks that no change rests on what is in memory.
func TestPrepareReadsAgain(t *testing.T) {
	full := func(g *google) { g.SetPolicy(services.ResourceName(), crowded(iampolicy.MaxPrincipals)) }
	readers := func(members ...string) func(*google) { return func(g *google) { g.foreignWrite(members...) } }
	for name, tc := range map[string]struct {
		before, since func(*google)
		edit          iampolicy.Edit
		want          iampolicy.Change
	}{
		"was there, and is gone":     {before: readers(nodesMember, human), since: readers(human), edit: add, want: iampolicy.Change{Added: []string{nodesMember}}},
		"was not there, and came":    {before: readers(human), since: readers(human, nodesMember), edit: add, want: iampolicy.Change{Found: []string{nodesMember}}},
		"to remove, and came":        {before: readers(human), since: readers(human, nodesMember), edit: remove, want: iampolicy.Change{Removed: []string{nodesMember}}},
		"to remove, and is gone":     {before: readers(nodesMember), since: readers(human), edit: remove, want: iampolicy.Change{Absent: []string{nodesMember}}},
		"was full, and is not":       {before: full, since: readers(human), edit: add, want: iampolicy.Change{Added: []string{nodesMember}}},
		"one of two has come":        {before: readers(human), since: readers(human, batchMember), edit: addBoth, want: iampolicy.Change{Added: []string{nodesMember}, Found: []string{batchMember}}},
		"nothing of it is in memory": {edit: add, want: iampolicy.Change{Added: []string{nodesMember}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			if tc.before != nil {
				tc.before(g)
				g.client.Access(t.Context(), services, nodesMember)
				tc.since(g)
			}
			if diff := cmp.Diff(tc.want, g.mustEdit(t, tc.edit).Change); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestAfterAFailedWriteAccessIsReadAgain checks that what was in memory before is dropped.
func TestAfterAFailedWriteAccessIsReadAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		fault gcpemulator.Fault
		want  diagnosis.State
	}{
		"refused":                  {gcpemulator.Fault{HTTPStatus: http.StatusForbidden}, diagnosis.Missing},
		"conflict":                 {gcpemulator.Fault{HTTPStatus: http.StatusConflict}, diagnosis.Missing},
		"unavailable, not applied": {gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable}, diagnosis.Missing},
		"unavailable, and applied": {gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable, After: true}, diagnosis.Present},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			g.wantAccess(t, nodesMember, diagnosis.Missing)
			tc.fault.Method = "SetIamPolicy"
			g.InjectFault(tc.fault)
			if _, err := g.edit(t, add); err == nil {
				t.Fatal("the write is no success")
			}
			g.wantAccess(t, nodesMember, tc.want)
			g.wantCalls(t, 3, 1, "one for access, one for the write, one for access after it")
		})
	}
}

func TestAbsentReadsAnew(t *testing.T) {
	g := newGoogle(t)
	g.mustEdit(t, add)
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

// TestAnEditLeavesWhatIsRemembered checks that an edit changes a copy: other callers share
// what is in memory.
func TestAnEditLeavesWhatIsRemembered(t *testing.T) {
	g := newGoogle(t)
	g.SetPolicy(services.ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{bound("roles/viewer", human), bound(iampolicy.Role, human)}})
	g.wantAccess(t, nodesMember, diagnosis.Missing)
	prepared := g.prepare(t, add)
	known, _ := g.client.knownPolicyOf(t.Context(), services)
	before := proto.CloneOf(known.Policy)
	if _, err := prepared.Commit(t.Context(), ""); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	if diff := cmp.Diff(before, known.Policy, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
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
