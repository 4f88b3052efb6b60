// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"errors"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// newSharedEnv returns an environment in which Deployment web has a pod on a node of each
// account, so that it waits for two grants.
func newSharedEnv(t *testing.T) *env {
	t.Helper()
	objects := webWith(stuckPod("node-1", "web-1", -time.Hour), stuckPod("node-2", "web-2", -time.Hour))
	return newEnv(t, append(objects, controllertest.Policy(),
		carriedOut(firstMember, controllertest.Waiting(workload.Deployment, "web")),
		carriedOut(secondMember, controllertest.Waiting(workload.Deployment, "web")),
	)...)
}

// freezeGrants has lists of grants show them as they are now.
func (e *env) freezeGrants() {
	stale := v1alpha1.PullAccessGrantList{Items: e.Grants()}
	e.Faults.List = func(ctx context.Context, inner client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		if grants, ok := list.(*v1alpha1.PullAccessGrantList); ok {
			stale.DeepCopyInto(grants)
			return nil
		}
		return inner.List(ctx, list, options...)
	}
}

// TestTwoGrantsNeverRestartOneWorkloadTwice: both grants of the workload are due in the same
// moment, and one rollout replaces the pods of both. The second grant sees it by the claim
// of the first, by its record, or by the workload itself.
func TestTwoGrantsNeverRestartOneWorkloadTwice(t *testing.T) {
	for name, tc := range map[string]struct{ stale, newProcess bool }{
		"one process":                   {},
		"stale cache":                   {stale: true},
		"new process":                   {newProcess: true},
		"new process and a stale cache": {stale: true, newProcess: true},
	} {
		for _, order := range [][]string{{firstMember, secondMember}, {secondMember, firstMember}} {
			t.Run(name+" "+order[0], func(t *testing.T) {
				e := newSharedEnv(t)
				if tc.stale {
					e.freezeGrants()
				}
				e.Step(time.Minute)
				for at := time.Duration(0); at < 4*time.Minute; at += lookAgain {
					for _, member := range order {
						e.mustPass(member)
						if tc.newProcess {
							e.newProcess()
						}
					}
					e.Step(lookAgain)
				}
				if n := e.rollouts(); n != 1 {
					t.Errorf("%d rollouts, want one", n)
				}
				if first, second := e.web(order[0]), e.web(order[1]); first.Attempts != 1 || second.Attempts != 0 {
					t.Errorf("the grants count %d and %d restarts, want one of the first", first.Attempts, second.Attempts)
				}
				now := e.Clock.Now().Sub(granted)
				e.replace(ofWeb(runningPod("node-1", "web-3", now, now)), ofWeb(runningPod("node-2", "web-4", now, now)))
				for _, member := range order {
					e.mustPass(member)
					if w := e.web(member); w.State != v1alpha1.WorkloadRecovered {
						t.Errorf("on the grant of %s is %+v, want a recovery by the one rollout", member, w)
					}
				}
			})
		}
	}
}

// TestTwoGrantsAfterACrash: the process ends after the first grant's restart is on record,
// and before the rollout. The second grant comes first in the next process.
func TestTwoGrantsAfterACrash(t *testing.T) {
	for name, tc := range map[string]struct {
		stale bool
		// counted are the restarts that the second grant counts.
		counted int32
	}{
		"record is seen":     {},
		"record is not seen": {stale: true, counted: 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := newSharedEnv(t)
			if tc.stale {
				e.freezeGrants()
			}
			e.Step(time.Minute)
			e.Faults.Patch = func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
				return errors.New("killed")
			}
			if _, err := e.pass(firstMember); err == nil {
				t.Fatal("the restart is done, although the API server has failed")
			}
			e.Faults.Patch = nil
			e.newProcess()
			before := e.rollouts()
			for range 5 {
				e.mustPass(secondMember)
				e.mustPass(firstMember)
				e.Step(lookAgain)
			}
			if n := e.rollouts() - before; n != 1 || e.web(firstMember).Attempts != 1 || e.web(secondMember).Attempts != tc.counted {
				t.Errorf("%d rollouts; the grants count %d and %d restarts", n, e.web(firstMember).Attempts, e.web(secondMember).Attempts)
			}
		})
	}
}
