// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

var (
	add    = iampolicy.Edit{Add: []string{nodesMember}}
	remove = iampolicy.Edit{Remove: []string{nodesMember}}
)

// intents keeps what was recorded before each write.
type intents struct {
	// withdrawn is how often they were taken back.
	withdrawn int
	changes   []iampolicy.Change
	etags     []string
	then      func()
}

// Intend implements Recorder.
func (i *intents) Intend(_ context.Context, intended iampolicy.Change, etag string) error {
	i.changes, i.etags = append(i.changes, intended), append(i.etags, etag)
	if i.then != nil {
		i.then()
	}
	return nil
}

// Withdraw implements Recorder.
func (i *intents) Withdraw(context.Context) error {
	i.withdrawn++
	return nil
}

// noRecord is a record that can't be kept.
type noRecord struct{ intents }

var errLost = errors.New("status is gone")

// Intend implements Recorder.
func (*noRecord) Intend(context.Context, iampolicy.Change, string) error { return errLost }

func (g *google) editPolicy(t *testing.T, edit iampolicy.Edit, i *intents) (Write, error) {
	t.Helper()
	return g.client.EditPolicy(t.Context(), services, edit, "grant services-nodes", i)
}

func TestEditPolicyAddsOneMember(t *testing.T) {
	g := newGoogle(t)
	before := &iampb.Policy{
		AuditConfigs: []*iampb.AuditConfig{{Service: "allServices", AuditLogConfigs: []*iampb.AuditLogConfig{{LogType: iampb.AuditLogConfig_DATA_READ}}}},
		Bindings: []*iampb.Binding{
			{Role: "roles/artifactregistry.writer", Members: []string{human, batchMember}},
			{Role: iampolicy.Role, Members: []string{"group:dev@example.com", "deleted:serviceAccount:old@acme.iam.gserviceaccount.com?uid=7"}},
			{Role: "roles/artifactregistry.admin", Members: []string{human}},
		},
	}
	g.SetPolicy(services.ResourceName(), before)
	before = g.Policy(services.ResourceName())

	var recorded intents
	write, err := g.editPolicy(t, add, &recorded)
	if err != nil {
		t.Fatalf("EditPolicy: %v", err)
	}
	want := proto.CloneOf(before)
	want.Bindings[1].Members = append(want.Bindings[1].Members, nodesMember)
	after := g.Policy(services.ResourceName())
	want.Etag = after.GetEtag()
	if diff := cmp.Diff(want, after, protocmp.Transform()); diff != "" {
		t.Errorf("more than one member differs (-want +got)\n%s", diff)
	}
	added := iampolicy.Change{Added: []string{nodesMember}}
	wantWrite := Write{Change: added, EtagBefore: etagOf(before), EtagAfter: etagOf(after), Attempts: 1}
	if diff := cmp.Diff(wantWrite, write); diff != "" {
		t.Errorf("write (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]iampolicy.Change{added}, recorded.changes); diff != "" {
		t.Errorf("the intent must be recorded, once (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{etagOf(before)}, recorded.etags); diff != "" {
		t.Errorf("the intent is recorded with the etag that was read (-want +got)\n%s", diff)
	}
	last := g.Requests()[len(g.Requests())-1]
	if last.Method != "SetIamPolicy" || last.Reason != "grant services-nodes" || last.Resource != services.ResourceName() {
		t.Errorf("the reason must reach the audit log, got %+v", last)
	}
}

func TestEditPolicyTwiceWritesOnce(t *testing.T) {
	g := newGoogle(t)
	for _, want := range []iampolicy.Change{{Added: []string{nodesMember}}, {Found: []string{nodesMember}}} {
		var recorded intents
		write, err := g.editPolicy(t, add, &recorded)
		if err != nil {
			t.Fatalf("EditPolicy: %v", err)
		}
		if diff := cmp.Diff(want, write.Change); diff != "" {
			t.Errorf("change (-want +got)\n%s", diff)
		}
		if len(recorded.changes) != len(want.Added) {
			t.Errorf("recorded %d intents, want one before each write", len(recorded.changes))
		}
	}
	if g.sets() != 1 {
		t.Errorf("%d writes, want 1", g.sets())
	}
}

func TestEditPolicyUndoes(t *testing.T) {
	g := newGoogle(t)
	g.foreignWrite(human)
	var recorded intents
	for _, edit := range []iampolicy.Edit{add, remove, remove} {
		if _, err := g.editPolicy(t, edit, &recorded); err != nil {
			t.Fatalf("EditPolicy: %v", err)
		}
	}
	if diff := cmp.Diff([]string{human}, g.readers()); diff != "" {
		t.Errorf("undo restores (-want +got)\n%s", diff)
	}
	if g.sets() != 2 {
		t.Errorf("%d writes, want 2: removing twice equals once", g.sets())
	}
}

// TestEditPolicyOutcomes plays what can happen to a write that adds nodes.
func TestEditPolicyOutcomes(t *testing.T) {
	set := func(f gcpemulator.Fault) func(*google, *intents) {
		f.Method = "SetIamPolicy"
		return func(g *google, _ *intents) { g.InjectFault(f) }
	}
	rateLimit := `{"error":{"code":403,"message":"Quota exceeded","status":"PERMISSION_DENIED","details":[` +
		`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","domain":"googleapis.com"}]}}`
	for name, tc := range map[string]struct {
		arrange  func(*google, *intents)
		edit     iampolicy.Edit
		want     iampolicy.Change
		wantErr  error
		wantSets int
		why      string
	}{
		"another writer between": {
			arrange: func(g *google, i *intents) { i.then = once(func() { g.foreignWrite(human) }) },
			want:    iampolicy.Change{Added: []string{nodesMember}}, wantSets: 2,
			why: "a conflict is read and written anew",
		},
		"another writer adds the member": {
			arrange: func(g *google, i *intents) { i.then = once(func() { g.foreignWrite(nodesMember) }) },
			want:    iampolicy.Change{Found: []string{nodesMember}}, wantSets: 1,
			why: "after a clean conflict the member is somebody else's",
		},
		"another writer, always": {
			arrange: func(g *google, i *intents) { i.then = func() { g.foreignWrite(human) } },
			wantErr: iampolicy.ErrConflict, wantSets: maxConflicts,
			why: "attempts are bounded",
		},
		"asked to slow down": {
			arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusTooManyRequests, Times: 2, RetryAfter: 7 * time.Second}),
			want:    iampolicy.Change{Added: []string{nodesMember}}, wantSets: 3,
			why: "quota passes",
		},
		"asked to slow down by a 403": {
			arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Body: rateLimit, Times: 1}),
			want:    iampolicy.Change{Added: []string{nodesMember}}, wantSets: 2,
			why: "some of Google's APIs answer quota with 403",
		},
		"asked to come back tomorrow": {
			arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusTooManyRequests, RetryAfter: 24 * time.Hour}),
			wantErr: iampolicy.ErrUnavailable, wantSets: 1,
			why: "a worker is not held for long",
		},
		"unavailable before the write": {
			arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable, Times: 1}),
			want:    iampolicy.Change{Added: []string{nodesMember}}, wantSets: 2,
			why: "the write did not take effect",
		},
		"unavailable after the write": {
			arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable, Times: 1, After: true}),
			want:    iampolicy.Change{Added: []string{nodesMember}}, wantSets: 1,
			why: "the write took effect and is ours",
		},
		"reset before the write": {
			arrange: set(gcpemulator.Fault{Reset: true, Times: 1}),
			want:    iampolicy.Change{Added: []string{nodesMember}}, wantSets: 2,
			why: "a lost connection is tried again",
		},
		"reset after the write": {
			arrange: set(gcpemulator.Fault{Reset: true, Times: 1, After: true}),
			want:    iampolicy.Change{Added: []string{nodesMember}}, wantSets: 1,
			why: "the write took effect and is ours",
		},
		"removed, and reset": {
			arrange: func(g *google, i *intents) {
				g.foreignWrite(nodesMember, human)
				set(gcpemulator.Fault{Reset: true, Times: 1, After: true})(g, i)
			},
			edit: remove, want: iampolicy.Change{Removed: []string{nodesMember}}, wantSets: 1,
			why: "a removal that took effect is ours as well",
		},
		"unavailable, and another writer without the member": {
			arrange: func(g *google, i *intents) {
				set(gcpemulator.Fault{HTTPStatus: http.StatusBadGateway, Times: 1})(g, i)
				g.clock.onWait = once(func() { g.foreignWrite(human) })
			},
			want: iampolicy.Change{Added: []string{nodesMember}}, wantSets: 2,
			why: "the etag moved and the member is not there: the first write never took effect",
		},
		"unavailable, then a clean conflict": {
			arrange: func(g *google, i *intents) {
				set(gcpemulator.Fault{HTTPStatus: http.StatusGatewayTimeout, Times: 1})(g, i)
				g.clock.onWait = once(func() { i.then = once(func() { g.foreignWrite(nodesMember) }) })
			},
			want: iampolicy.Change{Added: []string{nodesMember}}, wantSets: 2,
			why: "the first write may be the one that took effect late",
		},
		"unavailable, the etag moved, then another adds the member": {
			arrange: func(g *google, i *intents) {
				set(gcpemulator.Fault{HTTPStatus: http.StatusGatewayTimeout, Times: 1})(g, i)
				g.clock.onWait = once(func() {
					g.foreignWrite(human)
					i.then = once(func() { g.foreignWrite(nodesMember, human) })
				})
			},
			want: iampolicy.Change{Found: []string{nodesMember}}, wantSets: 2,
			why: "under an etag of the past nothing of ours takes effect, so the member is somebody else's",
		},
		"unavailable, always": {
			arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusInternalServerError}),
			wantErr: iampolicy.ErrUnavailable, wantSets: maxAttempts,
			why: "attempts are bounded",
		},
		"unreadable, always": {
			arrange: func(g *google, _ *intents) {
				g.InjectFault(gcpemulator.Fault{Method: "GetIamPolicy", HTTPStatus: http.StatusServiceUnavailable})
			},
			wantErr: iampolicy.ErrUnavailable,
			why:     "nothing is written without having read",
		},
		"may read, may not write": {
			arrange: func(g *google, _ *intents) {
				g.RestrictCaller("", "artifactregistry.repositories.getIamPolicy")
			},
			wantErr: iampolicy.ErrForbidden, wantSets: 1,
			why: "a denial is not asked for again",
		},
		"may not read": {
			arrange: func(g *google, _ *intents) { g.RestrictCaller("") },
			wantErr: iampolicy.ErrForbidden,
			why:     "a denial is not asked for again",
		},
		"another member's account is deleted": {
			arrange: func(g *google, _ *intents) {
				g.foreignWrite(batchMember)
				g.DeleteServiceAccount(batch)
				g.clock.onWait = once(func() { g.foreignWrite("deleted:" + batchMember + "?uid=7") })
			},
			want: iampolicy.Change{Added: []string{nodesMember}}, wantSets: 2,
			why: "read anew, the policy names the account as deleted",
		},
		"another member's account stays missing": {
			arrange: func(g *google, _ *intents) {
				g.foreignWrite(batchMember)
				g.DeleteServiceAccount(batch)
			},
			wantErr: iampolicy.ErrInvalid, wantSets: 2,
			why: "it is read anew once",
		},
		"organization policy": {
			arrange: set(gcpemulator.Fault{
				HTTPStatus: http.StatusBadRequest, Status: "FAILED_PRECONDITION",
				Message: "One or more users named in the policy do not belong to a permitted customer,  perhaps due to an organization policy.",
			}),
			wantErr: iampolicy.ErrOrgPolicy, wantSets: 1,
			why: "the constraint has to be changed first",
		},
		"refused for another reason": {
			arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusBadRequest, Status: "INVALID_ARGUMENT", Message: "no"}),
			wantErr: iampolicy.ErrInvalid, wantSets: 1,
			why: "the same policy is refused again",
		},
		"credentials refused": {
			arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusUnauthorized}),
			wantErr: iampolicy.ErrForbidden, wantSets: 1,
			why: "Google has to be told who asks first",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			var recorded intents
			tc.arrange(g, &recorded)
			if cmp.Equal(tc.edit, iampolicy.Edit{}) {
				tc.edit = add
			}
			write, err := g.editPolicy(t, tc.edit, &recorded)
			if !errors.Is(err, tc.wantErr) {
				t.Fatalf("got error %v, want %v: %s", err, tc.wantErr, tc.why)
			}
			if diff := cmp.Diff(tc.want, write.Change); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tc.why, diff)
			}
			if g.sets() != tc.wantSets || len(recorded.changes) != tc.wantSets {
				t.Errorf("%d writes and %d intents, want %d of each: %s", g.sets(), len(recorded.changes), tc.wantSets, tc.why)
			}
		})
	}
}

func TestEditPolicyTakesALateWriteForItsOwn(t *testing.T) {
	g := newGoogle(t)
	client := newClient(t, Options{Endpoint: g.URL(), Clock: g.clock, CallTimeout: time.Second})
	g.InjectFault(gcpemulator.Fault{Method: "SetIamPolicy", Times: 1, After: true, Delay: time.Hour})
	var recorded intents
	write, err := client.EditPolicy(t.Context(), services, add, "", &recorded)
	if err != nil {
		t.Fatalf("EditPolicy: %v", err)
	}
	want := Write{
		Change:     iampolicy.Change{Added: []string{nodesMember}},
		EtagBefore: recorded.etags[0], EtagAfter: etagOf(g.Policy(services.ResourceName())),
		Attempts: write.Attempts, // On a slow machine a read may time out as well.
	}
	if diff := cmp.Diff(want, write); diff != "" {
		t.Errorf("a time-out after the write took effect (-want +got)\n%s", diff)
	}
	if g.sets() != 1 {
		t.Errorf("%d writes, want 1", g.sets())
	}
}

func TestEditPolicyNamesTheMissingMember(t *testing.T) {
	g := newGoogle(t)
	g.DeleteServiceAccount(batch)
	var recorded intents
	_, err := g.editPolicy(t, iampolicy.Edit{Add: []string{nodesMember, batchMember}}, &recorded)
	var missing *iampolicy.MissingMemberError
	if !errors.As(err, &missing) || missing.Member != batchMember {
		t.Errorf("got %v, want the missing member %s", err, batchMember)
	}
	if g.sets() != 1 || len(g.readers()) != 0 {
		t.Errorf("%d writes, want 1: an account is not there for being asked for again", g.sets())
	}
}

func TestEditPolicyWaits(t *testing.T) {
	second := time.Second
	for name, tc := range map[string]struct {
		status int
		most   []time.Duration
		why    string
	}{
		"unavailable": {http.StatusServiceUnavailable, []time.Duration{2 * second, 4 * second, 8 * second, 16 * second}, "twice as long each time"},
		"conflict": {
			http.StatusConflict,
			[]time.Duration{second, 5 * second, 25 * second, 32 * second, 32 * second, 32 * second, 32 * second, 32 * second},
			"one foreign writer costs a second, many have to spread",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			g.InjectFault(gcpemulator.Fault{Method: "SetIamPolicy", HTTPStatus: http.StatusTooManyRequests, Times: 1, RetryAfter: 40 * second})
			g.InjectFault(gcpemulator.Fault{Method: "SetIamPolicy", HTTPStatus: tc.status})
			var recorded intents
			if _, err := g.editPolicy(t, add, &recorded); err == nil {
				t.Fatal("wrote against a server that takes no write")
			}
			if len(g.clock.waits) != len(tc.most)+1 {
				t.Fatalf("%d waits, want one between each two attempts", len(g.clock.waits))
			}
			if g.clock.waits[0] != 40*second {
				t.Errorf("waited %s, want the 40s that Google asked for", g.clock.waits[0])
			}
			for i, limit := range tc.most {
				if wait := g.clock.waits[i+1]; wait <= 0 || wait > limit {
					t.Errorf("wait %d is %s, want up to %s: %s", i+2, wait, limit, tc.why)
				}
			}
		})
	}
}

func TestEditPolicyStopsWithItsCaller(t *testing.T) {
	g := newGoogle(t)
	g.InjectFault(gcpemulator.Fault{Method: "SetIamPolicy", HTTPStatus: http.StatusServiceUnavailable})
	ctx, cancel := context.WithCancel(t.Context())
	g.clock.onWait = cancel
	var recorded intents
	_, err := g.client.EditPolicy(ctx, services, add, "", &recorded)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, iampolicy.ErrUnavailable) {
		t.Errorf("got %v, want both why it waited and that it was stopped", err)
	}
	if g.sets() != 1 {
		t.Errorf("%d writes, want 1", g.sets())
	}
}

func TestEditPolicySendsNothingUnrecorded(t *testing.T) {
	g := newGoogle(t)
	_, err := g.client.EditPolicy(t.Context(), services, add, "", &noRecord{})
	if !errors.Is(err, errLost) {
		t.Errorf("got %v, want %v", err, errLost)
	}
	if g.sets() != 0 {
		t.Errorf("%d writes without a trace", g.sets())
	}
}

func TestEditPolicyOfAMissingRepository(t *testing.T) {
	g := newGoogle(t)
	none := imageref.Repository{Project: "acme", Location: "us", Name: "none"}
	write, err := g.client.EditPolicy(t.Context(), none, add, "", &intents{})
	if !errors.Is(err, iampolicy.ErrNotFound) || write.Attempts != 1 || g.sets() != 0 {
		t.Errorf("got %v after %d attempts and %d writes, want %v at once", err, write.Attempts, g.sets(), iampolicy.ErrNotFound)
	}
}

func TestEditPolicyWithoutCredentials(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none.json")
	write, err := newClient(t, Options{Clock: newHurriedClock()}).EditPolicy(t.Context(), services, add, "", &intents{})
	if !errors.Is(err, iampolicy.ErrUnavailable) || write.Attempts != 1 {
		t.Errorf("got %v after %d attempts, want %v at once", err, write.Attempts, iampolicy.ErrUnavailable)
	}
}

func TestEditPolicyRefusesBadNames(t *testing.T) {
	g := newGoogle(t)
	for _, repo := range []imageref.Repository{
		{},
		{Project: "acme", Location: "us", Name: "a/../b"},
		{Project: "acme", Location: "us", Name: "services?x=y"},
		{Project: "..", Location: "us", Name: "services"},
		{Project: "acme", Location: "us:x", Name: "services"},
	} {
		_, err := g.client.EditPolicy(t.Context(), repo, add, "", &intents{})
		if !errors.Is(err, iampolicy.ErrInvalid) {
			t.Errorf("%s: got %v, want %v", repo, err, iampolicy.ErrInvalid)
		}
	}
	if _, err := g.client.EditPolicy(t.Context(), services, iampolicy.Edit{Add: []string{"allUsers"}}, "", &intents{}); !errors.Is(err, iampolicy.ErrMember) {
		t.Errorf("got %v, want %v", err, iampolicy.ErrMember)
	}
	if g.sets() != 0 {
		t.Errorf("%d writes, want none", g.sets())
	}
}

func TestEditPolicyBoundsWhatGoogleSays(t *testing.T) {
	g := newGoogle(t)
	g.InjectFault(gcpemulator.Fault{
		Method: "SetIamPolicy", HTTPStatus: http.StatusBadRequest, Message: strings.Repeat("bindings\x1b[31m\n", 1000),
	})
	_, err := g.client.EditPolicy(t.Context(), services, add, "line\r\nX-Evil: 1\x00é"+strings.Repeat("r", 1000), &intents{})
	if err == nil || len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("an error must be short and printable, got %d bytes", len(err.Error()))
	}
	last := g.Requests()[len(g.Requests())-1]
	if want := "lineX-Evil: 1" + strings.Repeat("r", maxReason-13); last.Reason != want {
		t.Errorf("reason is %q, want %q", last.Reason, want)
	}
}

// once makes f do nothing after its first call.
func once(f func()) func() {
	var o sync.Once
	return func() { o.Do(f) }
}

// TestEditPolicyWithdrawsWhatWasRefused: whoever is found in the policy after a conflict
// was put there by somebody else, also by the record of an operator that dies then.
func TestEditPolicyWithdrawsWhatWasRefused(t *testing.T) {
	g := newGoogle(t)
	var recorded intents
	recorded.then = once(func() { g.foreignWrite(nodesMember) })
	if _, err := g.editPolicy(t, add, &recorded); err != nil {
		t.Fatal(err)
	}
	if recorded.withdrawn != 1 || len(recorded.changes) != 1 {
		t.Errorf("%d intents were taken back of %d, want 1 of 1", recorded.withdrawn, len(recorded.changes))
	}
	g.InjectFault(gcpemulator.Fault{Method: "SetIamPolicy", HTTPStatus: http.StatusServiceUnavailable, Times: 1})
	recorded = intents{}
	if _, err := g.editPolicy(t, iampolicy.Edit{Remove: []string{nodesMember}}, &recorded); err != nil {
		t.Fatal(err)
	}
	if recorded.withdrawn != 0 {
		t.Error("an intent was taken back although its write may have taken effect")
	}
}
