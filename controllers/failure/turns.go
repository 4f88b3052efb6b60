// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package failure

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
	// grantsKept bounds of how many grants our last write is remembered.
	grantsKept = 1024
	// writtenFor is longer than the cache is behind our own writes.
	writtenFor = 5 * time.Second
)

// turns have the passes of a thousand pods that meet in one grant follow one another,
// each upon what the one before has written: else most of them would be refused by the
// API server, for they were read from a cache that does not have it yet.
type turns struct {
	mu      sync.Mutex
	locks   map[string]*turn
	written *cache.LRUExpireCache
}

type turn struct {
	sync.Mutex
	users int
}

func newTurns() *turns {
	return &turns{locks: map[string]*turn{}, written: cache.NewLRUExpireCache(grantsKept)}
}

// take waits for the grant's turn, which ends with done.
func (t *turns) take(grant string) (done func()) {
	t.mu.Lock()
	mine := t.locks[grant]
	if mine == nil {
		mine = &turn{}
		t.locks[grant] = mine
	}
	mine.users++
	t.mu.Unlock()
	mine.Lock()
	return func() {
		mine.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(t.locks, grant)
		}
	}
}

// wrote remembers the grant as our write has left it.
func (t *turns) wrote(g *v1alpha1.PullAccessGrant) {
	t.written.Add(g.Name, g.DeepCopy(), writtenFor)
}

// read gets the grant from the cache, or as our last write has left it if that is newer.
func (t *turns) read(ctx context.Context, cached client.Reader, name string) (*v1alpha1.PullAccessGrant, error) {
	found := &v1alpha1.PullAccessGrant{}
	err := cached.Get(ctx, client.ObjectKey{Name: name}, found)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	known, _ := t.written.Get(name)
	last, ok := known.(*v1alpha1.PullAccessGrant)
	if !ok {
		return found, err
	}
	if order, broken := resourceversion.CompareResourceVersion(last.ResourceVersion, found.ResourceVersion); err != nil || broken == nil && order > 0 {
		return last.DeepCopy(), nil
	}
	return found, nil
}
