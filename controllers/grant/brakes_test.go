// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/limit"
)

// policy reads the policy as it is on record.
func (w *world) policy() *v1alpha1.PullAccessPolicy {
	w.Helper()
	p := &v1alpha1.PullAccessPolicy{}
	if err := w.client.Get(w.Context(), client.ObjectKey{Name: "prod"}, p); err != nil {
		w.Fatal(err)
	}
	return p
}

// counted is how many grants the policy's brake has counted within the hour.
func (w *world) counted() int {
	w.Helper()
	const most = 1000
	return most - limit.Left(w.policy().Status.Limits.Grants, most, w.r.Clock.Now())
}

// braked is a policy that allows so many grants in an hour, of which some are done.
func braked(most int32, done int) *v1alpha1.PullAccessPolicy {
	p := enforcing()
	p.Spec.Limits.MaxGrantsPerHour = most
	p.Status.Limits.Grants = limit.Add(nil, done, now.Add(-30*time.Minute))
	return p
}

// TestBrakeHoldsGrants: one of two goes through, the other waits and goes on by
// itself, also under another process.
func TestBrakeHoldsGrants(t *testing.T) {
	w := newWorld(t, newCloud(foreign), braked(2, 1), requested(nodes), requested(batch))
	result := w.mustPass()
	opens := now.Add(-30 * time.Minute).Add(time.Hour + 5*time.Minute)
	if want := opens.Sub(now); result.RequeueAfter > want || result.RequeueAfter <= 0 {
		t.Errorf("the next look is in %v, want at most %v", result.RequeueAfter, want)
	}
	if got := w.cloud.readers(); len(got) != 2 {
		t.Fatalf("the readers are %v, want one more", got)
	}
	held := batch
	if condition(w.grant(batch), v1alpha1.ConditionGranted) == "True AccessGranted" {
		held = nodes
	}
	w.wantCondition(held, v1alpha1.ConditionGranted, "False GrantsPerHour")
	tripped := w.policy().Status.Limits.Reached
	if len(tripped) != 1 || tripped[0].Limit != v1alpha1.LimitGrants || tripped[0].ResetTime.Time.Before(opens.Add(-5*time.Minute)) {
		t.Errorf("tripped %+v, want GrantsPerHour until about %v", tripped, opens)
	}
	w.restart()
	w.mustPass()
	if w.counted() != 2 || len(w.cloud.readers()) != 2 {
		t.Errorf("%d counted, readers %v: the limit of 2 did not outlive the process", w.counted(), w.cloud.readers())
	}
	w.at(tripped[0].ResetTime.Time)
	w.mustPass()
	w.wantCondition(held, v1alpha1.ConditionGranted, "True AccessGranted")
	if w.counted() != 2 {
		t.Errorf("%d counted within the hour, want the two of it", w.counted())
	}
}

// TestBrakeCountsWritesOnly: a member that is there, and one that Google refuses,
// use nothing up; a write that is begun twice counts once.
func TestBrakeCountsWritesOnly(t *testing.T) {
	tests := map[string]struct {
		readers []string
		g       *v1alpha1.PullAccessGrant
		answers []answer
		refuse  map[string]error
		passes  int
		want    int
		why     string
	}{
		"written":          {g: requested(nodes), passes: 3, want: 1},
		"there already":    {readers: []string{nodes}, g: requested(nodes), passes: 3, want: 0, why: "nothing was written"},
		"refused":          {g: requested(nodes), refuse: map[string]error{nodes: iampolicy.ErrOrgPolicy}, passes: 5, want: 0, why: "else what is refused again and again would starve the rest"},
		"repeated by etag": {g: requested(nodes), answers: []answer{{err: iampolicy.ErrConflict, again: true}, {err: iampolicy.ErrConflict, again: true}}, passes: 1, want: 1},
		"unanswered":       {g: requested(nodes), answers: []answer{{err: errUnanswered, landed: true}}, passes: 3, want: 1, why: "it may have taken effect"},
		"interrupted":      {g: intended(nodes), passes: 2, want: 0, why: "the pass that began it has counted it"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCloud(append([]string{foreign}, tc.readers...)...)
			c.Answers, c.Refuse = tc.answers, tc.refuse
			w := newWorld(t, c, braked(3, 0), tc.g)
			for range tc.passes {
				_, _ = w.pass()
			}
			if got := w.counted(); got != tc.want {
				t.Errorf("%d counted, want %d (%s)", got, tc.want, tc.why)
			}
		})
	}
}

// TestStormHoldsAll: more repositories are asked for at once than the policy takes
// for honest; nothing is written until that is over.
func TestStormHoldsAll(t *testing.T) {
	p := enforcing()
	p.Spec.Limits.CircuitBreaker = v1alpha1.CircuitBreakerSpec{MaxRepositories: 2, Window: &metav1.Duration{Duration: 10 * time.Minute}}
	mine := requested(nodes)
	mine.CreationTimestamp = metav1.NewTime(now)
	objects := []client.Object{p, mine}
	for i := range 2 {
		other := requested(nodes)
		other.Name = fmt.Sprintf("other-%d", i)
		other.Spec.Repository.Name = fmt.Sprintf("team-%d", i)
		other.CreationTimestamp = metav1.NewTime(now.Add(-time.Duration(i+1) * time.Minute))
		objects = append(objects, other)
	}
	w := newWorld(t, newCloud(foreign), objects...)
	if result := w.mustPass(); result.RequeueAfter != 8*time.Minute {
		t.Errorf("the next look is in %v, want when the first of three no longer counts", result.RequeueAfter)
	}
	w.wantReaders(foreign)
	w.wantCondition(nodes, v1alpha1.ConditionReady, "False Storm")
	w.at(now.Add(8 * time.Minute))
	w.mustPass()
	w.wantReaders(foreign, nodes)
}

// TestBrakeIsSpentOnce: another writer has used up the rest between the look at the
// brake and the write.
func TestBrakeIsSpentOnce(t *testing.T) {
	w := newWorld(t, newCloud(foreign), braked(2, 1), requested(nodes))
	w.cloud.OnRead = func(int) {
		w.cloud.OnRead = nil
		p := w.policy()
		p.Status.Limits.Grants = limit.Add(p.Status.Limits.Grants, 1, now)
		if err := w.client.Status().Update(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.pass(); err == nil {
		t.Error("more was spent than there is")
	}
	w.mustPass()
	w.wantReaders(foreign)
	w.wantCondition(nodes, v1alpha1.ConditionGranted, "False GrantsPerHour")
	if w.counted() != 2 {
		t.Errorf("%d counted, want 2", w.counted())
	}
}

// TestRefundGoesByWhatWasCounted: the cache does not have the count of a moment ago
// when the intent cannot be put on record; nothing is used up for nothing.
func TestRefundGoesByWhatWasCounted(t *testing.T) {
	w := newWorld(t, newCloud(foreign), braked(3, 0), requested(nodes))
	stale, conflicts := w.policy(), 0
	w.inject(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if policy, ok := o.(*v1alpha1.PullAccessPolicy); ok {
				stale.DeepCopyInto(policy)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if _, ok := o.(*v1alpha1.PullAccessGrant); ok && conflicts < 5 {
				conflicts++
				return apierrors.NewConflict(schema.GroupResource{Resource: "pullaccessgrants"}, o.GetName(), nil)
			}
			return c.Patch(ctx, o, patch, opts...)
		},
	})
	for range 7 {
		_, _ = w.pass()
		stale = w.policy()
	}
	if w.counted() != 1 || len(w.cloud.Sent) != 1 {
		t.Errorf("after %d conflicts %d are counted and %d written, want one of each", conflicts, w.counted(), len(w.cloud.Sent))
	}
}

// TestRevokedBehindABrake: what a person has taken back is not written when the brake opens.
func TestRevokedBehindABrake(t *testing.T) {
	w := newWorld(t, newCloud(foreign), braked(1, 1), requested(nodes))
	w.mustPass()
	w.wantCondition(nodes, v1alpha1.ConditionGranted, "False GrantsPerHour")
	w.answer(nodes, v1alpha1.ReviewRevoked)
	for _, after := range []time.Duration{0, 2 * time.Hour} {
		w.at(now.Add(after))
		w.mustPass()
		w.wantReaders(foreign)
		w.wantCondition(nodes, v1alpha1.ConditionGranted, "False Revoked")
	}
}
