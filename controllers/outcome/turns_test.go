// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestChangesFollowOneAnother: many count on one object at once, and the cache shows what
// was there before all of them. None is refused, and none is lost.
func TestChangesFollowOneAnother(t *testing.T) {
	e := newEnv(t)
	stale := e.Grant("g")
	e.Faults.Get = func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
		if g, ok := object.(*v1alpha1.PullAccessGrant); ok {
			stale.DeepCopyInto(g)
		}
		return nil
	}
	turns := NewGrants()
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			_, err := turns.Change(t.Context(), e.Client, "g", func(g *v1alpha1.PullAccessGrant) error {
				g.Status.RecoveredWorkloads++
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := e.Grant("g").Status.RecoveredWorkloads; got != 30 || sent(e) > 30 {
		t.Errorf("%d changes are on record after %d writes, want 30 after that many at most", got, sent(e))
	}
	if n := len(turns.turns); n != 0 {
		t.Errorf("%d locks are left", n)
	}
}

// TestWaitingChangesAreOneWrite: whoever gets the turn makes the changes of all who wait
// for it. What one of them does not want leaves the others as they are.
func TestWaitingChangesAreOneWrite(t *testing.T) {
	e := newEnv(t)
	turns, no := NewGrants(), errors.New("no")
	done := turns.Take("g")
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			left, err := turns.Change(t.Context(), e.Client, "g", func(g *v1alpha1.PullAccessGrant) error {
				g.Status.RecoveredWorkloads++
				if i == 7 {
					return no
				}
				return nil
			})
			if (err != nil) != (i == 7) || left.Status.RecoveredWorkloads != 29 {
				t.Errorf("change %d: %v, and %d are on record", i, err, left.Status.RecoveredWorkloads)
			}
		})
	}
	for waiting := 0; waiting < 30; runtime.Gosched() {
		turns.mu.Lock()
		waiting = len(turns.turns["g"].waiting)
		turns.mu.Unlock()
	}
	done()
	all.Wait()
	if got := e.Grant("g").Status.RecoveredWorkloads; got != 29 || sent(e) != 1 {
		t.Errorf("%d changes are on record after %d writes, want 29 after one", got, sent(e))
	}
	if n := len(turns.turns); n != 0 {
		t.Errorf("%d turns are left", n)
	}
}

// TestChangeIsRefused: what the change does not want is not written, and what another has
// written meanwhile is not overwritten.
func TestChangeIsRefused(t *testing.T) {
	e := newEnv(t)
	turns, no := NewGrants(), errors.New("no")
	if _, err := turns.Change(t.Context(), e.Client, "g", func(*v1alpha1.PullAccessGrant) error { return no }); !errors.Is(err, no) || sent(e) != 0 {
		t.Errorf("Change: %v after %d writes, want the refusal and none", err, sent(e))
	}
	if _, err := turns.Change(t.Context(), e.Client, "missing", func(*v1alpha1.PullAccessGrant) error { return nil }); !apierrors.IsNotFound(err) {
		t.Errorf("Change of what is not there: %v", err)
	}
	_, err := turns.Change(t.Context(), e.Client, "g", func(g *v1alpha1.PullAccessGrant) error {
		other := e.Grant("g")
		before := other.DeepCopy()
		other.Status.RecoveredWorkloads = 7
		g.Status.RecoveredWorkloads = 1
		return PatchStatus(t.Context(), e.Client, before, other)
	})
	if got := e.Grant("g").Status.RecoveredWorkloads; !apierrors.IsConflict(err) || got != 7 {
		t.Errorf("Change: %v, and %d is on record; want a conflict, and what the other has written", err, got)
	}
}

// TestReadsWhatWasWritten: of the cache and our last write the newer one counts.
func TestReadsWhatWasWritten(t *testing.T) {
	for name, tc := range map[string]struct {
		cached, written, want string
	}{
		"nothing written":        {cached: "7", want: "7"},
		"the cache is behind":    {cached: "7", written: "9", want: "9"},
		"others have written":    {cached: "11", written: "9", want: "11"},
		"a version of no number": {cached: "x", written: "9", want: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			turns := NewGrants()
			if tc.written != "" {
				written := &v1alpha1.PullAccessGrant{ObjectMeta: metav1.ObjectMeta{Name: "g"}}
				written.ResourceVersion = tc.written
				turns.Wrote(written)
			}
			cached := reader(func(object client.Object) { object.SetResourceVersion(tc.cached) })
			got, err := turns.Read(t.Context(), cached, "g")
			if err != nil || got.ResourceVersion != tc.want {
				t.Errorf("read version %q, %v; want %q", got.ResourceVersion, err, tc.want)
			}
		})
	}
}

// TestReadsWhatWasMade: what the cache does not have is there only if we have just made it.
// Else a pass would ask nothing of what somebody has deleted.
func TestReadsWhatWasMade(t *testing.T) {
	e := newEnv(t)
	object := &v1alpha1.PullAccessGrant{ObjectMeta: metav1.ObjectMeta{Name: "none", ResourceVersion: "7"}}
	turns := NewGrants()
	want := func(there bool, why string) {
		t.Helper()
		if _, err := turns.Read(t.Context(), e.Client, "none"); (err == nil) != there || err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("Read: %v: %s", err, why)
		}
	}
	turns.Wrote(object)
	want(false, "it was deleted since")
	turns.Made(object)
	want(true, "the cache is behind")
	turns.Wrote(object)
	want(true, "the cache is behind still")
	after := object.DeepCopy()
	after.Status.RecoveredWorkloads++
	if err := turns.Write(t.Context(), e.Client, object, after, PatchStatus); !apierrors.IsNotFound(err) {
		t.Errorf("Write: %v, want that it is not there", err)
	}
	want(false, "the API server says that it is gone")
}

// TestAPanicIsNobodyElsesWrite: who waits for a turn that a panic has ended is told so, and
// its change is not made twice.
func TestAPanicIsNobodyElsesWrite(t *testing.T) {
	e := newEnv(t)
	turns, ran := NewGrants(), 0
	bad := &change[*v1alpha1.PullAccessGrant]{} // It does not even have a function.
	good := &change[*v1alpha1.PullAccessGrant]{do: func(*v1alpha1.PullAccessGrant) error { ran++; return nil }}
	func() {
		defer func() { _ = recover() }()
		turns.write(t.Context(), e.Client, "g", []*change[*v1alpha1.PullAccessGrant]{good, bad})
	}()
	if !good.done || !bad.done || good.err == nil || bad.err == nil || ran != 1 || sent(e) != 0 {
		t.Errorf("good: %v %v, bad: %v %v, ran %d times, %d writes", good.done, good.err, bad.done, bad.err, ran, sent(e))
	}
}

// reader finds every object, as it makes it.
type reader func(client.Object)

func (r reader) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	r(object)
	return nil
}

func (r reader) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }
