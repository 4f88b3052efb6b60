// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// waits is a queue that keeps how long what was added last is to wait.
type waits struct {
	workqueue.TypedRateLimitingInterface[imageref.Repository]
	last time.Duration
}

// AddAfter implements workqueue.TypedDelayingInterface.
func (w *waits) AddAfter(_ imageref.Repository, wait time.Duration) { w.last = wait }

// TestWaitsForOthers: a grant that is asked for waits for others on its repository, in a
// storm longer; what a person has said of one does not wait.
func TestWaitsForOthers(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(now)
	handler, queue := soonTogether(clock), &waits{last: -1}
	made := event.TypedCreateEvent[*v1alpha1.PullAccessGrant]{Object: requested(nodes)}
	handler.Create(t.Context(), made, queue)
	if queue.last != together {
		t.Errorf("a new grant waits %v, want %v", queue.last, together)
	}
	changed := event.TypedUpdateEvent[*v1alpha1.PullAccessGrant]{ObjectOld: requested(nodes), ObjectNew: requested(nodes)}
	handler.Update(t.Context(), changed, queue)
	if queue.last != 0 {
		t.Errorf("one that a person has spoken about waits %v", queue.last)
	}
	asked := metav1.NewTime(now)
	changed.ObjectNew.Status.RequestedTime = &asked
	handler.Update(t.Context(), changed, queue)
	if queue.last != together {
		t.Errorf("one that is asked for anew waits %v, want %v", queue.last, together)
	}
	handler.Create(t.Context(), made, queue)
	if queue.last != togetherInStorm {
		t.Errorf("one of many waits %v, want %v", queue.last, togetherInStorm)
	}
	clock.SetTime(now.Add(stormWithin))
	if handler.Create(t.Context(), made, queue); queue.last != together {
		t.Errorf("one of two within that time waits %v, want %v", queue.last, together)
	}
}
