// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/limit"
)

// TestBrakeHoldsRestarts: as many begin as the policy allows, in the order in which
// they came; the others begin when the brake opens, and nothing is counted twice.
func TestBrakeHoldsRestarts(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	policy := &v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "prod"}}
	policy.Spec.Limits.MaxRestartsPerHour = 3
	policy.Status.Limits.Restarts = limit.Add(nil, 1, granted.Add(-30*time.Minute))
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(policy).WithStatusSubresource(policy).Build()
	r := New(Reconciler{Client: c, Clock: clocktesting.NewFakePassiveClock(granted), Policies: outcome.NewPolicies()})
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
		j, err := r.judge(t.Context(), grant, views)
		if err != nil {
			t.Fatal(err)
		}
		if n := begun(); n != 2 || j.wake > 35*time.Minute || j.wake <= 0 {
			t.Fatalf("%d restarts begun, the next look in %v; want 2, and a look when the brake opens", n, j.wake)
		}
	}
	found := &v1alpha1.PullAccessPolicy{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "prod"}, found); err != nil {
		t.Fatal(err)
	}
	tripped := found.Status.Limits.Reached
	if len(tripped) != 1 || tripped[0].Limit != v1alpha1.LimitRestarts || limit.Left(found.Status.Limits.Restarts, 3, granted) != 0 {
		t.Errorf("on record are %+v", found.Status.Limits)
	}
	r.Clock = clocktesting.NewFakePassiveClock(tripped[0].ResetTime.Time)
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

// TestRefundGoesByWhatWasCounted: the cache does not have the count of a moment ago
// when the restarts cannot be put on record; what is not certain stays counted.
func TestRefundGoesByWhatWasCounted(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "pullaccessgrants"}, "g", nil)
	for name, tc := range map[string]struct {
		why  error
		want int
	}{
		"conflict":  {fmt.Errorf("record: %w", conflict), 15},
		"no answer": {context.DeadlineExceeded, 0},
		"timed out": {apierrors.NewTimeoutError("slow", 1), 0},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			stale := &v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "prod"}}
			stale.Spec.Limits.MaxRestartsPerHour = 15
			server := fake.NewClientBuilder().WithScheme(scheme).WithObjects(stale).WithStatusSubresource(stale).Build()
			if err := server.Get(t.Context(), client.ObjectKey{Name: "prod"}, stale); err != nil {
				t.Fatal(err)
			}
			cached := interceptor.NewClient(server, interceptor.Funcs{
				Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
					if policy, ok := o.(*v1alpha1.PullAccessPolicy); ok {
						stale.DeepCopyInto(policy)
					}
					return nil
				},
			})
			r := New(Reconciler{Client: cached, Clock: clocktesting.NewFakePassiveClock(granted), Policies: outcome.NewPolicies()})
			grant, views := grantedAt(nil), map[int]view{}
			for i := range 18 {
				grant.Status.Workloads = append(grant.Status.Workloads, v1alpha1.WorkloadStatus{
					Workload: v1alpha1.Workload{Name: fmt.Sprint(i)}, Policy: "prod", State: v1alpha1.WorkloadWaiting,
				})
				views[i] = view{stuck: stuckAt(-time.Minute), covered: true, spec: restartSpec{strategy: v1alpha1.RestartRollout, maxAttempts: 3}}
			}
			j, err := r.judge(t.Context(), grant, views)
			if err == nil {
				err = r.refund(t.Context(), j.counted, tc.why)
			}
			found := &v1alpha1.PullAccessPolicy{}
			if err := server.Get(t.Context(), client.ObjectKey{Name: "prod"}, found); err != nil {
				t.Fatal(err)
			}
			if left := limit.Left(found.Status.Limits.Restarts, 15, granted); left != tc.want || err != nil {
				t.Errorf("%d of 15 are left, %v; want %d", left, err, tc.want)
			}
		})
	}
}

// TestRestartsArePaced: a lost permission may have stopped hundreds of workloads, and all
// of them are due in the same moment.
func TestRestartsArePaced(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	policy := &v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "prod"}}
	policy.Spec.Limits.MaxRestartsPerHour = 1000
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(policy).WithStatusSubresource(policy).Build()
	clock := clocktesting.NewFakePassiveClock(granted)
	r := New(Reconciler{Client: c, Clock: clock, Policies: outcome.NewPolicies()})
	grant, views := grantedAt(nil), map[int]view{}
	for i := range 45 {
		grant.Status.Workloads = append(grant.Status.Workloads, v1alpha1.WorkloadStatus{
			Workload: v1alpha1.Workload{Name: fmt.Sprint(i)}, Policy: "prod", State: v1alpha1.WorkloadWaiting,
		})
		views[i] = view{stuck: stuckAt(-time.Minute), covered: true, spec: restartSpec{strategy: v1alpha1.RestartRollout, maxAttempts: 3}}
	}
	begun := func() (n int) {
		for _, w := range grant.Status.Workloads {
			n += int(w.Attempts)
		}
		return n
	}
	for i, want := range []int{restartsAtOnce, restartsAtOnce + restartsPerSecond, restartsAtOnce + 2*restartsPerSecond, 45} {
		clock.SetTime(granted.Add(time.Duration(i) * time.Second))
		j, err := r.judge(t.Context(), grant, views)
		if err != nil {
			t.Fatal(err)
		}
		if got := begun(); got != want || want < 45 && j.wake != time.Second {
			t.Errorf("after %d seconds %d restarts are begun, the next look in %v; want %d, and a look in a second", i, got, j.wake, want)
		}
	}
}

// TestABrakeSlowsNobodyElse: restarts that one policy's brake puts off use up no turn of
// those under another, and are not looked at until it opens.
func TestABrakeSlowsNobodyElse(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	braked := &v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "braked"}}
	braked.Spec.Limits.MaxRestartsPerHour = 1
	braked.Status.Limits.Restarts = limit.Add(nil, 1, granted)
	open := &v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "open"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(braked, open).WithStatusSubresource(braked).Build()
	r := New(Reconciler{Client: c, Clock: clocktesting.NewFakePassiveClock(granted), Policies: outcome.NewPolicies()})
	grant, views := grantedAt(nil), map[int]view{}
	for i := range 3 * restartsAtOnce {
		policy := "braked"
		if i == 3*restartsAtOnce-1 {
			policy = "open"
		}
		grant.Status.Workloads = append(grant.Status.Workloads, v1alpha1.WorkloadStatus{
			Workload: v1alpha1.Workload{Name: fmt.Sprint(i)}, Policy: policy, State: v1alpha1.WorkloadWaiting,
		})
		views[i] = view{stuck: stuckAt(-time.Minute), covered: true, spec: restartSpec{strategy: v1alpha1.RestartRollout, maxAttempts: 3}}
	}
	j, err := r.judge(t.Context(), grant, views)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range grant.Status.Workloads {
		if begun := w.Attempts == 1; begun != (w.Policy == "open") {
			t.Errorf("workload %d under policy %s is begun: %v", i, w.Policy, begun)
		}
		if wait := j.waits[i]; w.Policy == "braked" && wait < 50*time.Minute {
			t.Errorf("workload %d waits for %v, want it to wait until the brake opens", i, wait)
		}
	}
}
