// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

const (
	// writesKept bounds of how many objects our last write is remembered.
	writesKept = 1024
	// writtenFor is longer than the cache is behind our own writes.
	writtenFor = 5 * time.Second
	// writeTimeout bounds a write that is of several passes.
	writeTimeout = 30 * time.Second
)

// Turns have passes that meet in one cluster-scoped object follow one another, each upon
// what the one before has written. Else the API server would refuse most of them in a
// storm: they go by a cache that does not have those writes yet.
type Turns[T client.Object] struct {
	fresh   func() T
	mu      sync.Mutex
	turns   map[string]*turn[T]
	written *cache.LRUExpireCache
	// made are those of written that we have made.
	made *cache.LRUExpireCache
}

// turn is that of one object, while there is anybody who has it or waits for it.
type turn[T client.Object] struct {
	sync.Mutex
	users   int
	waiting []*change[T]
}

// change is one that waits for its turn, and what came of it.
type change[T client.Object] struct {
	do   func(T) error
	done bool
	left T
	err  error
}

// Grants are the turns of grants.
type Grants = Turns[*v1alpha1.PullAccessGrant]

// NewGrants returns turns in which nothing was written yet.
func NewGrants() *Grants {
	return newTurns(func() *v1alpha1.PullAccessGrant { return &v1alpha1.PullAccessGrant{} })
}

func newTurns[T client.Object](fresh func() T) *Turns[T] {
	return &Turns[T]{fresh: fresh, turns: map[string]*turn[T]{}, written: cache.NewLRUExpireCache(writesKept), made: cache.NewLRUExpireCache(writesKept)}
}

// Take waits for the object's turn, which ends with done.
func (t *Turns[T]) Take(name string) (done func()) {
	mine := t.join(name, nil)
	mine.Lock()
	return func() {
		mine.Unlock()
		t.leave(name, mine, nil)
	}
}

// join is among those who wait for the turn, with what is to be changed in it, if anything.
func (t *Turns[T]) join(name string, c *change[T]) *turn[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.turns[name]
	if mine == nil {
		mine = &turn[T]{}
		t.turns[name] = mine
	}
	mine.users++
	if c != nil {
		mine.waiting = append(mine.waiting, c)
	}
	return mine
}

func (t *Turns[T]) leave(name string, mine *turn[T], c *change[T]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine.waiting = slices.DeleteFunc(mine.waiting, func(other *change[T]) bool { return other == c })
	if mine.users--; mine.users == 0 {
		delete(t.turns, name)
	}
}

// Read gets the object from the cache, or as our last write has left it if that is newer,
// or if we have just made it: else an object that the cache does not have was deleted.
func (t *Turns[T]) Read(ctx context.Context, cached client.Reader, name string) (T, error) {
	found := t.fresh()
	err := cached.Get(ctx, client.ObjectKey{Name: name}, found)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return found, fmt.Errorf("read %s: %w", name, err)
	}
	known, _ := t.written.Get(name)
	last, ok := known.(T)
	if _, made := t.made.Get(name); !ok || missing && !made {
		return found, err
	}
	order, broken := resourceversion.CompareResourceVersion(last.GetResourceVersion(), found.GetResourceVersion())
	if missing || broken == nil && order > 0 {
		found = copyOf(last)
	}
	return found, nil
}

// Made remembers the object as we have made it.
func (t *Turns[T]) Made(object T) {
	t.Wrote(object)
	t.made.Add(object.GetName(), true, writtenFor)
}

// Wrote remembers the object as our write has left it.
func (t *Turns[T]) Wrote(object T) { t.written.Add(object.GetName(), copyOf(object), writtenFor) }

// Forget has the cache alone tell of the object, which is gone.
func (t *Turns[T]) Forget(name string) {
	t.made.Remove(name)
	t.written.Remove(name)
}

// Write writes what differs between two states of the object's status, by PatchStatus or
// ConfirmStatus. Whoever calls it has the object's turn.
func (t *Turns[T]) Write(ctx context.Context, c client.Client, before, after T, write Writer) error {
	err := write(ctx, c, before, after)
	switch {
	case apierrors.IsNotFound(err):
		t.Forget(after.GetName())
	case err == nil && after.GetResourceVersion() != before.GetResourceVersion():
		t.Wrote(after)
	}
	return err
}

// Change takes the object's turn, changes its status and writes what that changed. All
// changes that wait for the same turn are made one after the other by whoever has it, and
// are one write: an error of that is the error of all. Where do itself fails, its error is
// returned as it is, and nothing of its change is written.
func (t *Turns[T]) Change(ctx context.Context, c client.Client, name string, do func(T) error) (T, error) {
	mine := &change[T]{do: do}
	turn := t.join(name, mine)
	defer t.leave(name, turn, mine)
	turn.Lock()
	defer turn.Unlock()
	if !mine.done {
		t.write(ctx, c, name, t.waitingFor(turn))
	}
	return mine.left, mine.err
}

func (t *Turns[T]) waitingFor(turn *turn[T]) []*change[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(turn.waiting), func(c *change[T]) bool { return c.done })
}

// errLeft is what comes of a change whose turn was ended by the panic of another.
var errLeft = errors.New("the pass that was to write it has ended")

// write makes the changes, upon one another. It is for all who wait, so it does not end
// with the pass of the one that makes it.
func (t *Turns[T]) write(ctx context.Context, c client.Client, name string, changes []*change[T]) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	for _, change := range changes {
		change.done, change.err = true, errLeft
	}
	object, err := t.Read(ctx, c, name)
	before := copyOf(object)
	refused := make([]error, len(changes))
	for i, change := range changes {
		next := copyOf(object)
		if refused[i] = err; err != nil {
			continue
		}
		if refused[i] = change.do(next); refused[i] == nil {
			object = next
		}
	}
	if err == nil {
		err = t.Write(ctx, c, before, object, PatchStatus)
	}
	for i, change := range changes {
		change.left, change.err = copyOf(object), cmp.Or(refused[i], err)
	}
}

func copyOf[T client.Object](object T) T {
	replica, _ := object.DeepCopyObject().(T) // It is of the same type.
	return replica
}
