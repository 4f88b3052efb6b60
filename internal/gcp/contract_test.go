// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// prepared is what both clouds prepare.
type prepared interface {
	Change() iampolicy.Change
	Etag() string
	Commit(ctx context.Context, reason string) (iampolicy.Write, error)
}

// cloudUnderTest prepares edits of services, whose readers setReaders replaces.
type cloudUnderTest struct {
	prepare    func(*testing.T, iampolicy.Edit) prepared
	setReaders func(members ...string)
}

// TestContract checks the port of the grant controller on the adapter, over HTTP, and on
// the fake that the controller's tests use.
func TestContract(t *testing.T) {
	for name, start := range map[string]func(*testing.T) cloudUnderTest{
		"adapter": func(t *testing.T) cloudUnderTest {
			t.Helper()
			g := newGoogle(t)
			return cloudUnderTest{
				prepare:    func(t *testing.T, edit iampolicy.Edit) prepared { t.Helper(); return g.prepare(t, edit) },
				setReaders: g.foreignWrite,
			}
		},
		"fake": func(*testing.T) cloudUnderTest {
			fake, writes := controllertest.NewCloud(), 0
			return cloudUnderTest{
				prepare: func(t *testing.T, edit iampolicy.Edit) prepared {
					t.Helper()
					p, err := fake.Prepare(t.Context(), services, edit)
					if err != nil {
						t.Fatalf("Prepare: %v", err)
					}
					return p
				},
				setReaders: func(members ...string) {
					writes++
					fake.SetReaders(services.Name, members...)
					fake.IAMPolicies[services.Name].Etag = []byte{byte(writes)}
				},
			}
		},
	} {
		t.Run(name, func(t *testing.T) { checkContract(t, start(t)) })
	}
}

func checkContract(t *testing.T, cloud cloudUnderTest) {
	t.Helper()
	cloud.setReaders(human)
	first := cloud.prepare(t, addBoth)
	write, err := first.Commit(t.Context(), "")
	want := iampolicy.Write{Change: iampolicy.Change{Added: addBoth.Add}, EtagBefore: first.Etag(), EtagAfter: write.EtagAfter}
	if diff := cmp.Diff(want, write); err != nil || diff != "" || write.EtagAfter == first.Etag() {
		t.Errorf("Commit: %v (-want +got)\n%s", err, diff)
	}
	if _, err := first.Commit(t.Context(), ""); !errors.Is(err, iampolicy.ErrStale) {
		t.Errorf("second Commit: %v, want %v", err, iampolicy.ErrStale)
	}
	again := cloud.prepare(t, addBoth)
	if diff := cmp.Diff(iampolicy.Change{Found: addBoth.Add}, again.Change()); diff != "" || again.Etag() != write.EtagAfter {
		t.Errorf("prepared from etag %s, want %s (-want +got)\n%s", again.Etag(), write.EtagAfter, diff)
	}
	if _, err := again.Commit(t.Context(), ""); !errors.Is(err, iampolicy.ErrGuard) {
		t.Errorf("Commit of nothing: %v, want %v", err, iampolicy.ErrGuard)
	}
	late := cloud.prepare(t, remove)
	cloud.setReaders(human, nodesMember)
	if _, err := late.Commit(t.Context(), ""); !errors.Is(err, iampolicy.ErrConflict) || errors.Is(err, iampolicy.ErrUncertain) {
		t.Errorf("Commit after another writer: %v, want %v", err, iampolicy.ErrConflict)
	}
	if diff := cmp.Diff(iampolicy.Change{Removed: []string{nodesMember}}, cloud.prepare(t, remove).Change()); diff != "" {
		t.Errorf("after a conflict (-want +got)\n%s", diff)
	}
}
