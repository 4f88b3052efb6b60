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
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/limit"
)

// counted is how many grants the policy's limit has counted within the hour.
func (e *env) counted() int {
	e.Helper()
	const most = 1000
	return most - limit.Left(e.Policy("prod").Status.Limits.Grants, most, e.Clock.Now())
}

// limited is a policy that allows so many grants in an hour, of which some are done.
func limited(most int32, done int) *v1alpha1.PullAccessPolicy {
	p := enforcing()
	p.Spec.Limits.MaxGrantsPerHour = most
	p.Status.Limits.Grants = limit.Add(nil, done, now.Add(-30*time.Minute))
	return p
}

// TestLimitHoldsGrants: one of two goes through, the other waits and goes on by
// itself, also under another process.
func TestLimitHoldsGrants(t *testing.T) {
	e := newEnv(t, readers(foreign), limited(2, 1), requested(nodes), requested(batch))
	result := e.mustPass()
	opens := now.Add(-30 * time.Minute).Add(time.Hour + 5*time.Minute)
	if want := opens.Sub(now); result.RequeueAfter > want || result.RequeueAfter <= 0 {
		t.Errorf("the next look is in %v, want at most %v", result.RequeueAfter, want)
	}
	if got := e.Cloud.Readers(repository.Name); len(got) != 2 {
		t.Fatalf("the readers are %v, want one more", got)
	}
	held := batch
	if condition(e.grant(batch), v1alpha1.ConditionGranted) == "True AccessGranted" {
		held = nodes
	}
	e.wantCondition(held, v1alpha1.ConditionGranted, "False GrantsPerHour")
	reached := e.Policy("prod").Status.Limits.Reached
	if len(reached) != 1 || reached[0].Limit != v1alpha1.LimitGrants || reached[0].ResetTime.Time.Before(opens.Add(-5*time.Minute)) {
		t.Errorf("reached %+v, want GrantsPerHour until about %v", reached, opens)
	}
	e.restart()
	e.mustPass()
	if e.counted() != 2 || len(e.Cloud.Readers(repository.Name)) != 2 {
		t.Errorf("%d counted, readers %v: the limit of 2 did not outlive the process", e.counted(), e.Cloud.Readers(repository.Name))
	}
	e.at(reached[0].ResetTime.Time)
	e.mustPass()
	e.wantCondition(held, v1alpha1.ConditionGranted, "True AccessGranted")
	if e.counted() != 2 {
		t.Errorf("%d counted within the hour, want the two of it", e.counted())
	}
}

// TestLimitCountsWritesOnly: a member that is there, and one that Google refuses,
// use nothing up; a write that is begun twice counts once.
func TestLimitCountsWritesOnly(t *testing.T) {
	tests := map[string]struct {
		readers []string
		g       *v1alpha1.PullAccessGrant
		answers []controllertest.Answer
		refuse  map[string]error
		passes  int
		want    int
		why     string
	}{
		"written":          {g: requested(nodes), passes: 3, want: 1},
		"there already":    {readers: []string{nodes}, g: requested(nodes), passes: 3, want: 0, why: "nothing was written"},
		"refused":          {g: requested(nodes), refuse: map[string]error{nodes: iampolicy.ErrOrgPolicy}, passes: 5, want: 0, why: "else what is refused again and again would starve the rest"},
		"repeated by etag": {g: requested(nodes), answers: []controllertest.Answer{{Err: iampolicy.ErrConflict}, {Err: iampolicy.ErrConflict}}, passes: 1, want: 1},
		"unanswered":       {g: requested(nodes), answers: []controllertest.Answer{{Err: errUnanswered, Applied: true}}, passes: 3, want: 1, why: "it may have taken effect"},
		"interrupted":      {g: intended(nodes), passes: 2, want: 0, why: "the pass that began it has counted it"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, append([]string{foreign}, tc.readers...), limited(3, 0), tc.g)
			e.Cloud.Answers, e.Cloud.Refused = tc.answers, tc.refuse
			for range tc.passes {
				_, _ = e.pass()
			}
			if got := e.counted(); got != tc.want {
				t.Errorf("%d counted, want %d (%s)", got, tc.want, tc.why)
			}
		})
	}
}

// TestCircuitBreakerHoldsAll: more repositories are asked for at once than the policy takes
// for honest; nothing is written until that is over.
func TestCircuitBreakerHoldsAll(t *testing.T) {
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
	e := newEnv(t, readers(foreign), objects...)
	if result := e.mustPass(); result.RequeueAfter != 8*time.Minute {
		t.Errorf("the next look is in %v, want when the first of three no longer counts", result.RequeueAfter)
	}
	e.wantReaders(foreign)
	e.wantCondition(nodes, v1alpha1.ConditionReady, "False CircuitBreaker")
	e.at(now.Add(8 * time.Minute))
	e.mustPass()
	e.wantReaders(foreign, nodes)
}

// TestLimitIsSpentOnce: another writer has used up the rest between the look at the
// limit and the write.
func TestLimitIsSpentOnce(t *testing.T) {
	e := newEnv(t, readers(foreign), limited(2, 1), requested(nodes))
	e.Cloud.OnRead = func(int) {
		e.Cloud.OnRead = nil
		p := e.Policy("prod")
		p.Status.Limits.Grants = limit.Add(p.Status.Limits.Grants, 1, now)
		e.UpdateStatus(p)
	}
	if _, err := e.pass(); err == nil {
		t.Error("more was spent than there is")
	}
	e.mustPass()
	e.wantReaders(foreign)
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False GrantsPerHour")
	if e.counted() != 2 {
		t.Errorf("%d counted, want 2", e.counted())
	}
}

// TestRefundGoesByWhatWasCounted: the cache does not have the count of a moment ago
// when the intent cannot be put on record; nothing is used up for nothing.
func TestRefundGoesByWhatWasCounted(t *testing.T) {
	e := newEnv(t, readers(foreign), limited(3, 0), requested(nodes))
	stale, conflicts := e.Policy("prod"), 0
	e.Faults = interceptor.Funcs{
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
	}
	for range 7 {
		_, _ = e.pass()
		stale = e.Policy("prod")
	}
	if e.counted() != 1 || len(e.Cloud.Sent) != 1 {
		t.Errorf("after %d conflicts %d are counted and %d written, want one of each", conflicts, e.counted(), len(e.Cloud.Sent))
	}
}

// TestRevokedWhileLimited: a grant that a person revoked is not written when the limit resets.
func TestRevokedWhileLimited(t *testing.T) {
	e := newEnv(t, readers(foreign), limited(1, 1), requested(nodes))
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False GrantsPerHour")
	e.answer(nodes, v1alpha1.ReviewRevoked)
	for _, after := range []time.Duration{0, 2 * time.Hour} {
		e.at(now.Add(after))
		e.mustPass()
		e.wantReaders(foreign)
		e.wantCondition(nodes, v1alpha1.ConditionGranted, "False Revoked")
	}
}
