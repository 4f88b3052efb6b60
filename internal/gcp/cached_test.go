// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// fakeCloud answers from its fields and counts what it is asked.
type fakeCloud struct {
	repository diagnosis.Repository
	access     diagnosis.Access
	puller     diagnosis.Puller
	byPool     bool
	overall    diagnosis.Overall
	content    diagnosis.Content
	nextErr    error

	asked atomic.Int32
	// held, if set, is given a channel by each read, which goes on once that is closed.
	held chan chan struct{}
}

// ask tells whether the read is still wanted when it goes on.
func (f *fakeCloud) ask(ctx context.Context) bool {
	f.asked.Add(1)
	if f.held != nil {
		release := make(chan struct{})
		f.held <- release
		<-release
	}
	return ctx.Err() == nil
}

func (f *fakeCloud) Repository(ctx context.Context, _ imageref.Repository) diagnosis.Repository {
	if !f.ask(ctx) {
		return diagnosis.Repository{}
	}
	return f.repository
}

func (f *fakeCloud) Access(ctx context.Context, _ imageref.Repository, _ string) diagnosis.Access {
	answer := f.access
	f.ask(ctx)
	return answer
}

func (f *fakeCloud) ProjectAccess(ctx context.Context, _ imageref.Repository, _ string) diagnosis.Access {
	f.ask(ctx)
	return f.access
}

func (f *fakeCloud) Overall(ctx context.Context, _ imageref.Repository, _ string) diagnosis.Overall {
	f.ask(ctx)
	return f.overall
}

func (f *fakeCloud) Content(ctx context.Context, _ imageref.Image) diagnosis.Content {
	f.ask(ctx)
	return f.content
}

func (f *fakeCloud) NodeAccount(ctx context.Context, _ diagnosis.Node) (diagnosis.Puller, bool) {
	f.ask(ctx)
	return f.puller, f.byPool
}

func (f *fakeCloud) Absent(ctx context.Context, _ imageref.Repository, members []string) ([]string, error) {
	f.ask(ctx)
	return members, f.nextErr
}

func (f *fakeCloud) Prepare(context.Context, imageref.Repository, iampolicy.Edit) (*Prepared, error) {
	return &Prepared{change: iampolicy.Change{Added: []string{nodesMember}}}, f.nextErr
}

// write prepares a change and commits it. The fake has nobody who writes it.
func write(t *testing.T, cached *Cached) {
	t.Helper()
	prepared, err := cached.Prepare(t.Context(), services, add)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prepared.Commit(t.Context(), ""); !errors.Is(err, iampolicy.ErrGuard) {
		t.Errorf("Commit: %v", err)
	}
}

func TestCachedKeepsAnswers(t *testing.T) {
	present, missing, unknown := diagnosis.Present, diagnosis.Missing, diagnosis.Unknown
	for name, tc := range map[string]struct {
		cloud *fakeCloud
		read  func(context.Context, *Cached)
		want  time.Duration
	}{
		"repository found":   {cloud: &fakeCloud{repository: diagnosis.Repository{State: present}}, read: readRepository, want: 5 * time.Minute},
		"repository missing": {cloud: &fakeCloud{repository: diagnosis.Repository{State: missing}}, read: readRepository, want: 30 * time.Second},
		"repository unknown": {cloud: &fakeCloud{repository: diagnosis.Repository{State: unknown}}, read: readRepository, want: 30 * time.Second},
		"access there":       {cloud: &fakeCloud{access: diagnosis.Access{State: present}}, read: readAccess, want: 30 * time.Second},
		"access missing":     {cloud: &fakeCloud{access: diagnosis.Access{State: missing}}, read: readAccess, want: 30 * time.Second},
		"account":            {cloud: &fakeCloud{puller: diagnosis.Puller{State: present}}, read: readAccount, want: time.Hour},
		"account of a pool":  {cloud: &fakeCloud{puller: diagnosis.Puller{State: present}, byPool: true}, read: readAccount, want: 5 * time.Minute},
		"no account":         {cloud: &fakeCloud{puller: diagnosis.Puller{State: missing}}, read: readAccount, want: 30 * time.Second},
		"account unknown":    {cloud: &fakeCloud{puller: diagnosis.Puller{State: unknown}}, read: readAccount, want: 30 * time.Second},

		"project access there":   {cloud: &fakeCloud{access: diagnosis.Access{State: present}}, read: readProjectAccess, want: time.Minute},
		"project access missing": {cloud: &fakeCloud{access: diagnosis.Access{State: missing}}, read: readProjectAccess, want: time.Minute},
		"project access unknown": {cloud: &fakeCloud{access: diagnosis.Access{State: unknown}}, read: readProjectAccess, want: 30 * time.Second},
		"overall access":         {cloud: &fakeCloud{overall: diagnosis.Overall{State: present}}, read: readOverall, want: 30 * time.Second},
		"image found":            {cloud: &fakeCloud{content: diagnosis.Content{State: present}}, read: readContent, want: 5 * time.Minute},
		"image missing":          {cloud: &fakeCloud{content: diagnosis.Content{State: missing}}, read: readContent, want: 30 * time.Second},
		"content unknown":        {cloud: &fakeCloud{content: diagnosis.Content{State: unknown}}, read: readContent, want: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
			cached := NewCached(tc.cloud, clock)
			tc.read(t.Context(), cached)
			clock.Step(tc.want)
			tc.read(t.Context(), cached)
			if asked := tc.cloud.asked.Load(); asked != 1 {
				t.Errorf("asked %d times within %s, want once", asked, tc.want)
			}
			clock.Step(time.Nanosecond)
			tc.read(t.Context(), cached)
			if asked := tc.cloud.asked.Load(); asked != 2 {
				t.Errorf("asked %d times after %s, want twice", asked, tc.want)
			}
		})
	}
}

func readRepository(ctx context.Context, c *Cached) { c.Repository(ctx, services) }
func readAccess(ctx context.Context, c *Cached)     { c.Access(ctx, services, nodesMember) }
func readAccount(ctx context.Context, c *Cached)    { c.NodeAccount(ctx, someNode) }
func readOverall(ctx context.Context, c *Cached)    { c.Overall(ctx, services, nodesMember) }
func readContent(ctx context.Context, c *Cached)    { c.Content(ctx, imageref.Image{Tag: "v1"}) }

func readProjectAccess(ctx context.Context, c *Cached) { c.ProjectAccess(ctx, services, nodesMember) }

var someNode = diagnosis.Node{Name: "n", ProviderID: "gce://p/z/i"}

func TestCachedTellsKeysApart(t *testing.T) {
	cloud := &fakeCloud{access: diagnosis.Access{State: diagnosis.Missing}}
	cached := NewCached(cloud, clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)))
	other := services
	other.Location = "us"
	cached.Access(t.Context(), services, nodesMember)
	cached.Access(t.Context(), services, batchMember)
	cached.Access(t.Context(), other, nodesMember)
	if asked := cloud.asked.Load(); asked != 3 {
		t.Errorf("asked %d times for 3 things", asked)
	}
	cached.ProjectAccess(t.Context(), services, nodesMember)
	cached.ProjectAccess(t.Context(), other, nodesMember)
	if asked := cloud.asked.Load(); asked != 4 {
		t.Errorf("asked %d times, want 4: both repositories are of one project", asked)
	}
}

func TestCachedIsBounded(t *testing.T) {
	cloud := &fakeCloud{repository: diagnosis.Repository{State: diagnosis.Present}}
	cached := NewCached(cloud, clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)))
	for i := range maxRepositories + 1 {
		cached.Repository(t.Context(), imageref.Repository{Name: fmt.Sprint(i)})
	}
	if kept := len(cached.repositories.answers.Keys()); kept != maxRepositories {
		t.Errorf("%d answers are kept, want %d", kept, maxRepositories)
	}
}

func TestCachedForgetsAccessAtOurOwnWrite(t *testing.T) {
	cloud := &fakeCloud{access: diagnosis.Access{State: diagnosis.Missing}}
	cached := NewCached(cloud, clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)))
	cached.Access(t.Context(), services, nodesMember)
	cached.Overall(t.Context(), services, nodesMember)
	cached.Repository(t.Context(), services)
	write(t, cached)
	cloud.access.State = diagnosis.Present
	if got := cached.Access(t.Context(), services, nodesMember); got.State != diagnosis.Present {
		t.Error("access is answered from before the write")
	}
	cached.Overall(t.Context(), services, nodesMember)
	cached.Repository(t.Context(), services)
	if asked := cloud.asked.Load(); asked != 5 {
		t.Errorf("asked %d times, want 5: the repository is the same", asked)
	}
}

// TestCachedForgetsAccessThatWasFound checks that a member that Prepare finds is not missing
// from then on. The error of Prepare is that of the cloud.
func TestCachedForgetsAccessThatWasFound(t *testing.T) {
	g := newGoogle(t)
	cached := NewCached(g.client, g.clock)
	cached.Access(t.Context(), services, nodesMember)
	g.foreignWrite(nodesMember)
	if _, err := cached.Prepare(t.Context(), services, add); err != nil {
		t.Fatal(err)
	}
	if got := cached.Access(t.Context(), services, nodesMember); got.State != diagnosis.Present {
		t.Errorf("access is %+v", got)
	}
	failing := NewCached(&fakeCloud{nextErr: iampolicy.ErrUnavailable}, g.clock)
	if _, err := failing.Prepare(t.Context(), services, add); !errors.Is(err, iampolicy.ErrUnavailable) {
		t.Errorf("Prepare: %v", err)
	}
}

func TestCachedDoesNotKeepAReadFromBeforeTheWrite(t *testing.T) {
	cloud := &fakeCloud{access: diagnosis.Access{State: diagnosis.Missing}, held: make(chan chan struct{})}
	cached := NewCached(cloud, clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)))
	early, late := make(chan diagnosis.Access, 1), make(chan diagnosis.Access, 1)
	go func() { early <- cached.Access(t.Context(), services, nodesMember) }()
	releaseEarly := <-cloud.held
	write(t, cached)
	cloud.access.State = diagnosis.Present
	go func() { late <- cached.Access(t.Context(), services, nodesMember) }()
	close(<-cloud.held) // The late caller did not join the early read.
	if got := <-late; got.State != diagnosis.Present {
		t.Error("a caller after the write is answered from before it")
	}
	close(releaseEarly)
	if got := <-early; got.State != diagnosis.Missing {
		t.Error("a caller before the write is answered as it was then")
	}
	if got := cached.Access(t.Context(), services, nodesMember); got.State != diagnosis.Present {
		t.Error("an answer from before the write is kept")
	}
}

func TestCachedMakesOneReadOfMany(t *testing.T) {
	cloud := &fakeCloud{
		puller: diagnosis.Puller{State: diagnosis.Present, Email: nodes},
		held:   make(chan chan struct{}),
	}
	cached := NewCached(cloud, clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)))
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if got := cached.NodeAccount(t.Context(), someNode); got.Email != nodes {
				t.Errorf("got %+v", got)
			}
		})
	}
	close(<-cloud.held)
	all.Wait()
	if asked := cloud.asked.Load(); asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
}

func TestCachedCallerMayLeave(t *testing.T) {
	cloud := &fakeCloud{
		repository: diagnosis.Repository{State: diagnosis.Present}, access: diagnosis.Access{State: diagnosis.Present},
		puller: diagnosis.Puller{State: diagnosis.Present}, held: make(chan chan struct{}, 6),
	}
	cached := NewCached(cloud, clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)))
	gone, leave := context.WithCancel(t.Context())
	leave()
	if diff := cmp.Diff(diagnosis.Repository{Obstacle: givenUp}, cached.Repository(gone, services)); diff != "" {
		t.Errorf("repository (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(diagnosis.Access{Obstacle: givenUp}, cached.Access(gone, services, nodesMember)); diff != "" {
		t.Errorf("access (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(diagnosis.Puller{Obstacle: givenUp}, cached.NodeAccount(gone, someNode)); diff != "" {
		t.Errorf("puller (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(diagnosis.Access{Obstacle: givenUp}, cached.ProjectAccess(gone, services, nodesMember)); diff != "" {
		t.Errorf("project access (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(diagnosis.Overall{Obstacle: givenUp}, cached.Overall(gone, services, nodesMember)); diff != "" {
		t.Errorf("overall (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(diagnosis.Content{Obstacle: givenUp}, cached.Content(gone, imageref.Image{Tag: "v1"})); diff != "" {
		t.Errorf("content (-want +got)\n%s", diff)
	}
	for range 6 {
		close(<-cloud.held)
	}
	// The read of the one who left is what the next one gets.
	if got := cached.Repository(t.Context(), services); got.State != diagnosis.Present {
		t.Errorf("got %+v", got)
	}
	if asked := cloud.asked.Load(); asked != 6 {
		t.Errorf("asked %d times, want 6", asked)
	}
}
