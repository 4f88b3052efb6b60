// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/brake"
)

// TestBrakeHoldsRestarts: as many begin as the policy allows, in the order in which
// they came; the others begin when the brake opens, and nothing is counted twice.
func TestBrakeHoldsRestarts(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	policy := &v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "prod"}}
	policy.Spec.Brakes.MaxRestartsPerHour = 3
	policy.Status.Brakes.Restarts = brake.Add(nil, 1, granted.Add(-30*time.Minute))
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(policy).WithStatusSubresource(policy).Build()
	r := &Reconciler{Client: c, Clock: clocktesting.NewFakePassiveClock(granted)}
	grant, views := grantedAt(nil), map[int]view{}
	for i := range 5 {
		grant.Status.Workloads = append(grant.Status.Workloads, v1alpha1.WorkloadStatus{
			Workload: v1alpha1.Workload{Name: fmt.Sprint(i)}, Policy: "prod", State: v1alpha1.WorkloadWaiting,
		})
		views[i] = view{stuck: stuckAt(-time.Minute), covered: true, spec: restartSpec{strategy: v1alpha1.RestartRollout, maxAttempts: 3}}
	}
	begun := func() (n int) {
		for i, w := range grant.Status.Workloads {
			if w.State == v1alpha1.WorkloadRestarting {
				if n++; n != i+1 {
					t.Errorf("workload %d was restarted before its turn", i)
				}
			} else if w.Attempts != 0 || w.RestartTime != nil {
				t.Errorf("workload %d waits, and is on record as %+v", i, w)
			}
		}
		return n
	}
	for range 2 {
		wake, err := r.judge(t.Context(), grant, views)
		if err != nil {
			t.Fatal(err)
		}
		if n := begun(); n != 2 || wake > 35*time.Minute || wake <= 0 {
			t.Fatalf("%d restarts begun, the next look in %v; want 2, and a look when the brake opens", n, wake)
		}
	}
	found := &v1alpha1.PullAccessPolicy{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "prod"}, found); err != nil {
		t.Fatal(err)
	}
	tripped := found.Status.Brakes.Tripped
	if len(tripped) != 1 || tripped[0].Brake != v1alpha1.BrakeRestarts || brake.Left(found.Status.Brakes.Restarts, 3, granted) != 0 {
		t.Errorf("on record are %+v", found.Status.Brakes)
	}
	r.Clock = clocktesting.NewFakePassiveClock(tripped[0].UntilTime.Time)
	for i := range 2 {
		delete(views, i) // They have recovered.
	}
	if _, err := r.judge(t.Context(), grant, views); err != nil {
		t.Fatal(err)
	}
	if n := begun(); n != 3 {
		t.Errorf("%d restarts begun when the brake opened, want one more", n)
	}
	if n := len(grant.Status.History); n != 3 {
		t.Errorf("the history tells %d restarts", n)
	}
}
