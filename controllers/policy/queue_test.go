// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

var errBroken = errors.New("broken")

// fakeQueue records what is added to it after a delay.
type fakeQueue struct {
	queue
	added []string
}

func newQueue(t *testing.T) *fakeQueue {
	t.Helper()
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(q.ShutDown)
	return &fakeQueue{queue: q}
}

func (q *fakeQueue) AddAfter(request reconcile.Request, after time.Duration) {
	q.added = append(q.added, fmt.Sprintf("%s after %v", request.Name, after))
}

// take returns what was added since it was last called.
func (q *fakeQueue) take() []string {
	defer func() { q.added = nil }()
	return q.added
}
