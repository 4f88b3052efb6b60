// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"context"
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
)

// Turns have passes that meet in one cluster-scoped object follow one another, each upon
// what the one before has written. Else the API server would refuse most of them in a
// storm: they go by a cache that does not have those writes yet.
type Turns[T client.Object] struct {
	fresh   func() T
	mu      sync.Mutex
	locks   map[string]*turn
	written *cache.LRUExpireCache
}

// Policies are the turns of policies: all that count on those share them.
type Policies = Turns[*v1alpha1.PullAccessPolicy]

// Grants are the turns of grants.
type Grants = Turns[*v1alpha1.PullAccessGrant]

// NewPolicies returns turns in which nothing was written yet.
func NewPolicies() *Policies {
	return newTurns(func() *v1alpha1.PullAccessPolicy { return &v1alpha1.PullAccessPolicy{} })
}

// NewGrants returns turns in which nothing was written yet.
func NewGrants() *Grants {
	return newTurns(func() *v1alpha1.PullAccessGrant { return &v1alpha1.PullAccessGrant{} })
}

type turn struct {
	sync.Mutex
	users int
}

func newTurns[T client.Object](fresh func() T) *Turns[T] {
	return &Turns[T]{fresh: fresh, locks: map[string]*turn{}, written: cache.NewLRUExpireCache(writesKept)}
}

// Take waits for the object's turn, which ends with done.
func (t *Turns[T]) Take(name string) (done func()) {
	t.mu.Lock()
	mine := t.locks[name]
	if mine == nil {
		mine = &turn{}
		t.locks[name] = mine
	}
	mine.users++
	t.mu.Unlock()
	mine.Lock()
	return func() {
		mine.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(t.locks, name)
		}
	}
}

// Read gets the object from the cache, or as our last write has left it if that is newer,
// or if the cache does not have it yet. Where it was deleted since, what is written to
// it is refused.
func (t *Turns[T]) Read(ctx context.Context, cached client.Reader, name string) (T, error) {
	found := t.fresh()
	err := cached.Get(ctx, client.ObjectKey{Name: name}, found)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return found, err
	}
	known, _ := t.written.Get(name)
	last, ok := known.(T)
	if !ok {
		return found, err
	}
	if missing {
		return copyOf(last), nil
	}
	if order, broken := resourceversion.CompareResourceVersion(last.GetResourceVersion(), found.GetResourceVersion()); broken == nil && order > 0 {
		found = copyOf(last)
	}
	return found, nil
}

// Wrote remembers the object as our write has left it.
func (t *Turns[T]) Wrote(object T) { t.written.Add(object.GetName(), copyOf(object), writtenFor) }

// Change takes the object's turn, changes its status and writes what that changed. An
// error of change is returned as it is, and nothing is written.
func (t *Turns[T]) Change(ctx context.Context, c client.Client, name string, change func(T) error) (T, error) {
	defer t.Take(name)()
	object, err := t.Read(ctx, c, name)
	if err != nil {
		return object, err
	}
	before := copyOf(object)
	if err := change(object); err != nil {
		return object, err
	}
	if err := PatchStatus(ctx, c, before, object); err != nil {
		return object, err
	}
	t.Wrote(object)
	return object, nil
}

func copyOf[T client.Object](object T) T {
	replica, _ := object.DeepCopyObject().(T) // It is of the same type.
	return replica
}
