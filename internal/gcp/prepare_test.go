// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"errors"
	"net/http"
	"strings"
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

const auditReason = "grant services-nodes"

// prepare reads and edits the IAM policy of services.
func (g *google) prepare(t *testing.T, edit iampolicy.Edit) *Prepared {
	t.Helper()
	prepared, err := g.client.Prepare(t.Context(), services, edit)
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	return prepared
}

// edit prepares the edit, and commits it unless it changes nothing.
func (g *google) edit(t *testing.T, edit iampolicy.Edit) (iampolicy.Write, error) {
	t.Helper()
	prepared, err := g.client.Prepare(t.Context(), services, edit)
	if err != nil {
		return iampolicy.Write{}, err
	}
	if prepared.Change().Empty() {
		return iampolicy.Write{Change: prepared.Change(), EtagBefore: prepared.Etag(), EtagAfter: prepared.Etag()}, nil
	}
	return prepared.Commit(t.Context(), auditReason)
}

func (g *google) mustEdit(t *testing.T, edit iampolicy.Edit) iampolicy.Write {
	t.Helper()
	write, err := g.edit(t, edit)
	if err != nil {
		t.Fatalf("edit: %v", err)
	}
	return write
}

func TestCommitAddsOneMember(t *testing.T) {
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

	prepared := g.prepare(t, add)
	added := iampolicy.Change{Added: []string{nodesMember}}
	if diff := cmp.Diff(added, prepared.Change()); diff != "" || prepared.Etag() != etagOf(before) || prepared.HashBefore() != iampolicy.Hash(before) {
		t.Errorf("prepared from etag %s, want %s (-want +got)\n%s", prepared.Etag(), etagOf(before), diff)
	}
	if g.sets() != 0 {
		t.Errorf("Prepare wrote %d times", g.sets())
	}
	write, err := prepared.Commit(t.Context(), auditReason)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	want := proto.CloneOf(before)
	want.Bindings[1].Members = append(want.Bindings[1].Members, nodesMember)
	after := g.Policy(services.ResourceName())
	want.Etag = after.GetEtag()
	if diff := cmp.Diff(want, after, protocmp.Transform()); diff != "" {
		t.Errorf("more than one member differs (-want +got)\n%s", diff)
	}
	if prepared.HashAfter() != iampolicy.Hash(after) {
		t.Error("the hash is not that of the IAM policy as Google stores it")
	}
	if diff := cmp.Diff(iampolicy.Write{Change: added, EtagBefore: etagOf(before), EtagAfter: etagOf(after)}, write); diff != "" {
		t.Errorf("write (-want +got)\n%s", diff)
	}
	last := g.Requests()[len(g.Requests())-1]
	if last.Method != "SetIamPolicy" || last.Reason != auditReason || last.Resource != services.ResourceName() {
		t.Errorf("the reason must reach the audit log, got %+v", last)
	}
}

func TestPrepareFindsWhatIsDone(t *testing.T) {
	g := newGoogle(t)
	g.foreignWrite(human)
	for i, tc := range []struct {
		edit iampolicy.Edit
		want iampolicy.Change
	}{
		{add, iampolicy.Change{Added: []string{nodesMember}}},
		{add, iampolicy.Change{Found: []string{nodesMember}}},
		{remove, iampolicy.Change{Removed: []string{nodesMember}}},
		{remove, iampolicy.Change{Absent: []string{nodesMember}}},
	} {
		if diff := cmp.Diff(tc.want, g.mustEdit(t, tc.edit).Change); diff != "" {
			t.Errorf("edit %d (-want +got)\n%s", i, diff)
		}
	}
	if diff := cmp.Diff([]string{human}, g.readers()); diff != "" || g.sets() != 2 {
		t.Errorf("%d writes, want 2: what is done is not written again (-want +got)\n%s", g.sets(), diff)
	}
}

// TestCommitOutcomes checks what each answer to a write means, and that none is followed by
// a second write.
func TestCommitOutcomes(t *testing.T) {
	set := func(f gcpemulator.Fault) func(*google) {
		f.Method, f.Times = "SetIamPolicy", 1
		return func(g *google) { g.InjectFault(f) }
	}
	rateLimit := `{"error":{"code":403,"message":"Quota exceeded","status":"PERMISSION_DENIED","details":[` +
		`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","domain":"googleapis.com"}]}}`
	for name, tc := range map[string]struct {
		arrange       func(*google)
		want          error
		wantUncertain bool
		wantApplied   bool
		why           string
	}{
		"written":                    {arrange: func(*google) {}, wantApplied: true},
		"another writer":             {arrange: func(g *google) { g.foreignWrite(human) }, want: iampolicy.ErrConflict, why: "the etag is another"},
		"another writer of the same": {arrange: func(g *google) { g.foreignWrite(nodesMember) }, want: iampolicy.ErrConflict, wantApplied: true, why: "the etag is another"},
		"asked to slow down":         {arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusTooManyRequests}), want: iampolicy.ErrUnavailable, why: "quota passes"},
		"asked to slow down by a 403": {
			arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Body: rateLimit}), want: iampolicy.ErrUnavailable,
			why: "some of Google's APIs answer quota with 403",
		},
		"unavailable":                {arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable}), want: iampolicy.ErrUnavailable, why: "Google answered"},
		"internal error":             {arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusInternalServerError}), want: iampolicy.ErrUnavailable, why: "Google answered"},
		"unavailable, and applied":   {arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable, After: true}), want: iampolicy.ErrUnavailable, wantApplied: true, why: "the next read shows it"},
		"bad gateway":                {arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusBadGateway}), want: iampolicy.ErrUnavailable, wantUncertain: true, why: "a proxy does not know"},
		"gateway time-out":           {arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusGatewayTimeout}), want: iampolicy.ErrUnavailable, wantUncertain: true, why: "a proxy does not know"},
		"connection reset":           {arrange: set(gcpemulator.Fault{Reset: true}), want: iampolicy.ErrUnavailable, wantUncertain: true, why: "there is no answer"},
		"connection reset, applied":  {arrange: set(gcpemulator.Fault{Reset: true, After: true}), want: iampolicy.ErrUnavailable, wantUncertain: true, wantApplied: true, why: "there is no answer"},
		"lacks the permission":       {arrange: func(g *google) { g.RestrictCaller("", "artifactregistry.repositories.getIamPolicy") }, want: iampolicy.ErrForbidden},
		"credentials refused":        {arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusUnauthorized}), want: iampolicy.ErrForbidden},
		"refused for another reason": {arrange: set(gcpemulator.Fault{HTTPStatus: http.StatusBadRequest, Status: "INVALID_ARGUMENT", Message: "no"}), want: iampolicy.ErrInvalid},
		"organization policy": {
			arrange: set(gcpemulator.Fault{
				HTTPStatus: http.StatusBadRequest, Status: "FAILED_PRECONDITION",
				Message: "One or more users named in the policy do not belong to a permitted customer,  perhaps due to an organization policy.",
			}),
			want: iampolicy.ErrOrgPolicy,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			prepared := g.prepare(t, add)
			tc.arrange(g)
			write, err := prepared.Commit(t.Context(), "")
			if !errors.Is(err, tc.want) || errors.Is(err, iampolicy.ErrUncertain) != tc.wantUncertain {
				t.Fatalf("got error %v, want %v, uncertain: %v (%s)", err, tc.want, tc.wantUncertain, tc.why)
			}
			want := iampolicy.Write{}
			if tc.want == nil {
				want = iampolicy.Write{Change: prepared.Change(), EtagBefore: prepared.Etag(), EtagAfter: etagOf(g.Policy(services.ResourceName()))}
			}
			if diff := cmp.Diff(want, write); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tc.why, diff)
			}
			if applied := cmp.Equal(g.readers(), []string{nodesMember}); g.sets() != 1 || applied != tc.wantApplied {
				t.Errorf("%d writes, applied: %v; want 1 and %v: a write is never resent", g.sets(), applied, tc.wantApplied)
			}
			if _, err := prepared.Commit(t.Context(), ""); !errors.Is(err, iampolicy.ErrStale) || g.sets() != 1 {
				t.Errorf("second Commit: %v after %d writes, want %v and 1", err, g.sets(), iampolicy.ErrStale)
			}
		})
	}
}

// TestCommitHasTenSeconds checks that nothing is sent later, and that a call under way ends.
func TestCommitHasTenSeconds(t *testing.T) {
	for name, tc := range map[string]struct {
		after     time.Duration
		hangs     bool
		want      error
		uncertain bool
		sets      int
	}{
		"in time":           {after: commitWithin / 2, sets: 1},
		"too late":          {after: commitWithin, want: iampolicy.ErrStale},
		"answered too late": {after: commitWithin - 100*time.Millisecond, hangs: true, want: iampolicy.ErrUnavailable, uncertain: true, sets: 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			prepared := g.prepare(t, add)
			if tc.hangs {
				g.InjectFault(gcpemulator.Fault{Method: "SetIamPolicy", Times: 1, Delay: time.Hour})
			}
			g.clock.Step(tc.after)
			_, err := prepared.Commit(t.Context(), "")
			if !errors.Is(err, tc.want) || errors.Is(err, iampolicy.ErrUncertain) != tc.uncertain || g.sets() != tc.sets {
				t.Errorf("got %v after %d writes, want %v, uncertain: %v, after %d", err, g.sets(), tc.want, tc.uncertain, tc.sets)
			}
		})
	}
}

// TestCommitOfNothing checks that the zero value and an empty change send nothing.
func TestCommitOfNothing(t *testing.T) {
	g := newGoogle(t)
	for name, prepared := range map[string]*Prepared{"zero": {}, "empty": g.prepare(t, remove)} {
		if _, err := prepared.Commit(t.Context(), ""); !errors.Is(err, iampolicy.ErrGuard) || g.sets() != 0 {
			t.Errorf("%s: got %v after %d writes, want %v and none", name, err, g.sets(), iampolicy.ErrGuard)
		}
	}
}

func TestCommitNamesTheMissingMember(t *testing.T) {
	g := newGoogle(t)
	g.DeleteServiceAccount(batch)
	_, err := g.edit(t, iampolicy.Edit{Add: []string{nodesMember, batchMember}})
	var missing *iampolicy.MissingMemberError
	if !errors.As(err, &missing) || missing.Member != batchMember {
		t.Errorf("got %v, want the missing member %s", err, batchMember)
	}
	if g.sets() != 1 || len(g.readers()) != 0 {
		t.Errorf("%d writes, want 1", g.sets())
	}
}

// TestDeletedSinceTheRead checks that the missing account of another member is an error of
// the IAM policy that was read: read again, it shows the account as deleted.
func TestDeletedSinceTheRead(t *testing.T) {
	g := newGoogle(t)
	g.foreignWrite(batchMember)
	prepared := g.prepare(t, add)
	g.DeleteServiceAccount(batch)
	var missing *iampolicy.MissingMemberError
	if _, err := prepared.Commit(t.Context(), ""); !errors.Is(err, iampolicy.ErrStale) || !errors.Is(err, iampolicy.ErrInvalid) || errors.As(err, &missing) {
		t.Errorf("got %v, want %v and %v", err, iampolicy.ErrStale, iampolicy.ErrInvalid)
	}
	g.foreignWrite("deleted:" + batchMember + "?uid=7")
	if diff := cmp.Diff(iampolicy.Change{Added: []string{nodesMember}}, g.mustEdit(t, add).Change); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestCommitStopsWithItsCaller(t *testing.T) {
	g := newGoogle(t)
	prepared := g.prepare(t, add)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := prepared.Commit(ctx, ""); !errors.Is(err, iampolicy.ErrUnavailable) || g.sets() != 0 {
		t.Errorf("got %v after %d writes, want %v and none", err, g.sets(), iampolicy.ErrUnavailable)
	}
}

// TestPrepareErrors checks what keeps a change from being prepared. Nothing is written.
func TestPrepareErrors(t *testing.T) {
	get := func(status, times int) func(*google) {
		return func(g *google) {
			g.InjectFault(gcpemulator.Fault{Method: "GetIamPolicy", HTTPStatus: status, Times: times})
		}
	}
	for name, tc := range map[string]struct {
		arrange    func(*google)
		repository imageref.Repository
		edit       iampolicy.Edit
		want       error
		wantReads  int
		why        string
	}{
		"unavailable once":        {arrange: get(http.StatusServiceUnavailable, 1), wantReads: 2, why: "a read is retried"},
		"unavailable":             {arrange: get(http.StatusServiceUnavailable, 0), want: iampolicy.ErrUnavailable, wantReads: 1 + readCalls},
		"may not read":            {arrange: func(g *google) { g.RestrictCaller("") }, want: iampolicy.ErrForbidden, wantReads: 1},
		"no such repository":      {repository: imageref.Repository{Project: "acme", Location: "us", Name: "none"}, want: iampolicy.ErrNotFound, wantReads: 1},
		"everybody":               {edit: iampolicy.Edit{Add: []string{"allUsers"}}, want: iampolicy.ErrMember, wantReads: 1},
		"no name":                 {repository: imageref.Repository{Project: "acme", Location: "us"}, want: iampolicy.ErrInvalid},
		"a path as name":          {repository: imageref.Repository{Project: "acme", Location: "us", Name: "a/../b"}, want: iampolicy.ErrInvalid},
		"a query in the name":     {repository: imageref.Repository{Project: "acme", Location: "us", Name: "services?x=y"}, want: iampolicy.ErrInvalid},
		"a path as project":       {repository: imageref.Repository{Project: "..", Location: "us", Name: "services"}, want: iampolicy.ErrInvalid},
		"a colon in the location": {repository: imageref.Repository{Project: "acme", Location: "us:x", Name: "services"}, want: iampolicy.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			if tc.arrange != nil {
				tc.arrange(g)
			}
			if tc.repository == (imageref.Repository{}) {
				tc.repository = services
			}
			if cmp.Equal(tc.edit, iampolicy.Edit{}) {
				tc.edit = add
			}
			prepared, err := g.client.Prepare(t.Context(), tc.repository, tc.edit)
			if !errors.Is(err, tc.want) || (prepared == nil) != (tc.want != nil) || g.sets() != 0 {
				t.Errorf("got %v, %v and %d writes, want %v: %s", prepared, err, g.sets(), tc.want, tc.why)
			}
			if g.reads() != tc.wantReads {
				t.Errorf("%d reads, want %d: %s", g.reads(), tc.wantReads, tc.why)
			}
		})
	}
}

func TestPrepareWithoutCredentials(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none.json")
	if _, err := newClient(t, Options{Clock: newHurriedClock()}).Prepare(t.Context(), services, add); !errors.Is(err, iampolicy.ErrUnavailable) {
		t.Errorf("got %v, want %v", err, iampolicy.ErrUnavailable)
	}
}

func TestCommitBoundsWhatGoogleSays(t *testing.T) {
	g := newGoogle(t)
	g.InjectFault(gcpemulator.Fault{
		Method: "SetIamPolicy", HTTPStatus: http.StatusBadRequest, Message: strings.Repeat("bindings\x1b[31m\n", 1000),
	})
	_, err := g.prepare(t, add).Commit(t.Context(), "line\r\nX-Evil: 1\x00é"+strings.Repeat("r", 1000))
	if err == nil || len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("an error must be short and printable, got %d bytes", len(err.Error()))
	}
	last := g.Requests()[len(g.Requests())-1]
	if want := "lineX-Evil: 1" + strings.Repeat("r", maxReason-13); last.Reason != want {
		t.Errorf("reason is %q, want %q", last.Reason, want)
	}
}
