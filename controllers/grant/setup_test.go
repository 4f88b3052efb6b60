// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/record"
)

// waits is a queue that keeps how long what was added last is to wait.
type waits struct {
	workqueue.TypedRateLimitingInterface[imageref.Repository]
	last time.Duration
}

// AddAfter implements workqueue.TypedDelayingInterface.
func (w *waits) AddAfter(_ imageref.Repository, wait time.Duration) { w.last = wait }

// TestWaitsForOthers: a grant that is not written yet waits for others on its repository
// from when it is made, also when further workloads join it meanwhile.
func TestWaitsForOthers(t *testing.T) {
	handler, queue := soonTogether(), &waits{last: -1}
	handler.Create(t.Context(), event.TypedCreateEvent[*v1alpha1.PullAccessGrant]{Object: requested(nodes)}, queue)
	if queue.last != together {
		t.Errorf("a new grant waits %v, want %v", queue.last, together)
	}
	changed := event.TypedUpdateEvent[*v1alpha1.PullAccessGrant]{ObjectOld: requested(nodes), ObjectNew: requested(nodes)}
	handler.Update(t.Context(), changed, queue)
	if queue.last != together {
		t.Errorf("one that a workload joins waits %v, want %v", queue.last, together)
	}
	record.Grant(changed.ObjectNew, v1alpha1.OriginAdded, "etag", now)
	handler.Update(t.Context(), changed, queue)
	if queue.last != 0 {
		t.Errorf("one that is written waits %v", queue.last)
	}
	for range stormAtOnce {
		handler.Create(t.Context(), event.TypedCreateEvent[*v1alpha1.PullAccessGrant]{Object: requested(nodes)}, queue)
	}
	if queue.last != togetherInStorm {
		t.Errorf("one of many waits %v, want %v", queue.last, togetherInStorm)
	}
}
