// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/limit"
)

var (
	present     = diagnosis.Repository{State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY"}
	missing     = diagnosis.Repository{State: diagnosis.Missing}
	forbidden   = diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Forbidden, Permission: "artifactregistry.repositories.get"}}
	unavailable = diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unavailable, Detail: "Google does not answer"}}
	unreadable  = diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: "the answer makes no sense"}}
)

var now = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)

// fakeCloud answers for repositories by their names; others are not read.
type fakeCloud map[string]diagnosis.Repository

func (c fakeCloud) Repository(_ context.Context, repository imageref.Repository) diagnosis.Repository {
	return c[repository.Name]
}

func policyOf(edit func(*v1alpha1.PullAccessPolicySpec)) *v1alpha1.PullAccessPolicy {
	policy := &v1alpha1.PullAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "prod", Generation: 3},
		Spec: v1alpha1.PullAccessPolicySpec{
			Mode:              v1alpha1.ModeEnforce,
			NamespaceSelector: &metav1.LabelSelector{},
			PodSelector:       &metav1.LabelSelector{},
			Repositories: []v1alpha1.RepositoryPattern{
				{Project: "acme-prod", Location: "us-central1", Name: "services"},
				{Project: "acme-prod", Location: "us-central1", Name: "tools"},
				{Project: "acme-prod", Location: "*", Name: "team-a"},
			},
		},
	}
	if edit != nil {
		edit(&policy.Spec)
	}
	return policy
}

// setUp puts the policy on a server; writes counts what is written there.
func setUp(t *testing.T, policy *v1alpha1.PullAccessPolicy, cloud Cloud, patch error) (r *Reconciler, recorder *events.FakeRecorder, writes *int) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	writes = new(int)
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(policy).WithStatusSubresource(policy).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
				if patch != nil {
					return patch
				}
				*writes++
				return c.SubResource(sub).Patch(ctx, obj, p, opts...)
			},
		}).Build()
	recorder = events.NewFakeRecorder(16)
	return &Reconciler{Client: c, Cloud: cloud, Recorder: recorder, Clock: clocktesting.NewFakePassiveClock(now)}, recorder, writes
}

// stored reads the policy as the server has it.
func stored(t *testing.T, r *Reconciler) *v1alpha1.PullAccessPolicy {
	t.Helper()
	policy := &v1alpha1.PullAccessPolicy{}
	if err := r.Client.Get(t.Context(), client.ObjectKey{Name: "prod"}, policy); err != nil {
		t.Fatal(err)
	}
	return policy
}

func said(recorder *events.FakeRecorder) string {
	select {
	case event := <-recorder.Events:
		return event
	default:
		return ""
	}
}

func checkCondition(t *testing.T, policy *v1alpha1.PullAccessPolicy, conditionType, want string) {
	t.Helper()
	c := meta.FindStatusCondition(policy.Status.Conditions, conditionType)
	if c == nil {
		t.Fatalf("%s is not set", conditionType)
	}
	if got := string(c.Status) + " " + c.Reason; got != want {
		t.Errorf("%s is %s, want %s", conditionType, got, want)
	}
	if c.ObservedGeneration != 3 || !strings.HasSuffix(c.Message, ".") {
		t.Errorf("%s observed generation %d and says %q", conditionType, c.ObservedGeneration, c.Message)
	}
}

func TestConditions(t *testing.T) {
	readable := fakeCloud{"services": present, "tools": present}
	broken := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "env", Operator: "Sometimes"}}}
	tests := map[string]struct {
		cloud  fakeCloud
		edit   func(*v1alpha1.PullAccessPolicySpec)
		ready  string
		access string
		again  time.Duration
		event  string
		why    string
	}{
		"readable": {cloud: readable, ready: "True InForce", access: "True RepositoriesReadable"},
		"dry run": {
			cloud: readable, edit: func(s *v1alpha1.PullAccessPolicySpec) { s.Mode = v1alpha1.ModeDryRun },
			ready: "True DryRun", access: "True RepositoriesReadable",
		},
		"no mode": {
			cloud: readable, edit: func(s *v1alpha1.PullAccessPolicySpec) { s.Mode = "" },
			ready: "True DryRun", access: "True RepositoriesReadable", why: "the zero value writes nothing",
		},
		"wildcards only": {
			edit:  func(s *v1alpha1.PullAccessPolicySpec) { s.Repositories = s.Repositories[2:] },
			ready: "True InForce", access: "True OnlyWildcards", why: "nothing was asked, so nothing is amiss",
		},
		"a wildcard in the name": {
			edit: func(s *v1alpha1.PullAccessPolicySpec) {
				s.Repositories = []v1alpha1.RepositoryPattern{{Project: "acme-prod", Location: "us", Name: "team-*"}}
			},
			ready: "True InForce", access: "True OnlyWildcards",
		},
		"the second is missing": {
			cloud: fakeCloud{"services": present, "tools": missing},
			ready: "Unknown RepositoryNotFound", access: "False RepositoryNotFound", again: troubleAgain, event: "Warning RepositoryNotFound ",
		},
		"forbidden": {
			cloud: fakeCloud{"services": forbidden, "tools": present},
			ready: "Unknown CloudForbidden", access: "False CloudForbidden", again: troubleAgain, event: "Warning CloudForbidden ",
		},
		"unavailable": {
			cloud: fakeCloud{"services": unavailable, "tools": present},
			ready: "Unknown CloudUnreachable", access: "False CloudUnreachable", again: unreachableAgain, event: "Warning CloudUnreachable ",
		},
		"unreadable": {
			cloud: fakeCloud{"services": unreadable, "tools": present},
			ready: "Unknown RepositoryUnreadable", access: "False RepositoryUnreadable", again: troubleAgain, event: "Warning RepositoryUnreadable ",
		},
		"broken namespace selector": {
			cloud: readable, edit: func(s *v1alpha1.PullAccessPolicySpec) { s.NamespaceSelector = broken },
			ready: "False InvalidSelector", access: "True RepositoriesReadable", event: "Warning InvalidSelector spec.namespaceSelector ",
		},
		"broken pod selector, cloud unavailable": {
			cloud: fakeCloud{"services": unavailable}, edit: func(s *v1alpha1.PullAccessPolicySpec) { s.PodSelector = broken },
			ready: "False InvalidSelector", access: "False CloudUnreachable", again: unreachableAgain, event: "Warning InvalidSelector spec.podSelector ",
			why: "the worst is named",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, recorder, writes := setUp(t, policyOf(tc.edit), tc.cloud, nil)
			for pass := range 3 {
				result, err := r.Reconcile(t.Context(), stored(t, r))
				if err != nil || result.RequeueAfter != tc.again {
					t.Fatalf("pass %d: %+v, %v; want RequeueAfter %v (%s)", pass, result, err, tc.again, tc.why)
				}
				checkCondition(t, stored(t, r), v1alpha1.ConditionReady, tc.ready)
				checkCondition(t, stored(t, r), v1alpha1.ConditionCloudAccess, tc.access)
				want := tc.event
				if pass > 0 {
					want = ""
				}
				if got := said(recorder); !strings.HasPrefix(got, want) || want == "" && got != "" {
					t.Errorf("pass %d said %q, want %q (%s)", pass, got, want, tc.why)
				}
			}
			if *writes != 1 {
				t.Errorf("three passes wrote %d times, want once", *writes)
			}
		})
	}
}

// TestEventsFollowChanges: trouble is told when it comes, and when it comes again.
func TestEventsFollowChanges(t *testing.T) {
	cloud := fakeCloud{"services": unavailable, "tools": present}
	r, recorder, _ := setUp(t, policyOf(nil), cloud, nil)
	for i, step := range []struct {
		cloud diagnosis.Repository
		want  string
	}{
		{unavailable, "Warning CloudUnreachable "},
		{unavailable, ""},
		{forbidden, "Warning CloudForbidden "},
		{present, ""},
		{present, ""},
		{unavailable, "Warning CloudUnreachable "},
	} {
		cloud["services"] = step.cloud
		if _, err := r.Reconcile(t.Context(), stored(t, r)); err != nil {
			t.Fatal(err)
		}
		if got := said(recorder); !strings.HasPrefix(got, step.want) || step.want == "" && got != "" {
			t.Errorf("step %d said %q, want %q", i, got, step.want)
		}
	}
	checkCondition(t, stored(t, r), v1alpha1.ConditionReady, "Unknown CloudUnreachable")
}

// TestNothingIsSaidThatIsNotRecorded: else it would be said again at the next pass.
func TestNothingIsSaidThatIsNotRecorded(t *testing.T) {
	broken := errors.New("broken")
	policies := schema.GroupResource{Group: "pullaccess.dev", Resource: "pullaccesspolicies"}
	for name, tc := range map[string]struct {
		patch error
		want  error
	}{
		"overtaken": {patch: apierrors.NewConflict(policies, "prod", broken)},
		"broken":    {patch: broken, want: broken},
	} {
		t.Run(name, func(t *testing.T) {
			r, recorder, _ := setUp(t, policyOf(nil), fakeCloud{}, tc.patch)
			result, err := r.Reconcile(t.Context(), stored(t, r))
			if !errors.Is(err, tc.want) || tc.want == nil && result.RequeueAfter == 0 {
				t.Errorf("Reconcile = %+v, %v; want %v", result, err, tc.want)
			}
			if got := said(recorder); got != "" {
				t.Errorf("said %q", got)
			}
		})
	}
}

// TestBrakesAndPauses: what holds the policy back is told until it no longer does.
func TestBrakesAndPauses(t *testing.T) {
	policy := policyOf(nil)
	until := metav1.NewTime(now.Add(20 * time.Minute))
	sooner := metav1.NewTime(now.Add(5 * time.Minute))
	policy.Status.Limits.Grants = limit.Add(nil, 20, now.Add(-45*time.Minute))
	policy.Status.Limits.Restarts = limit.Add(nil, 60, now.Add(-time.Hour))
	policy.Status.Limits.Reached = []v1alpha1.ReachedLimit{
		{Limit: v1alpha1.LimitGrants, ResetTime: until}, {Limit: v1alpha1.LimitRestarts, ResetTime: sooner},
	}
	r, recorder, _ := setUp(t, policy, fakeCloud{"services": present, "tools": present}, nil)
	for i, step := range []struct {
		at     time.Time
		limits string
		again  time.Duration
		said   string
	}{
		{now, "False GrantsPerHour", 5 * time.Minute, "Warning GrantsPerHour "},
		{sooner.Time, "False GrantsPerHour", 15 * time.Minute, ""},
		{until.Time, "True WithinLimits", 0, ""},
	} {
		r.Clock = clocktesting.NewFakePassiveClock(step.at)
		result, err := r.Reconcile(t.Context(), stored(t, r))
		if err != nil || result.RequeueAfter != step.again {
			t.Errorf("step %d: %+v, %v; want a look after %v", i, result, err, step.again)
		}
		checkCondition(t, stored(t, r), v1alpha1.ConditionWithinLimits, step.limits)
		if ready := meta.FindStatusCondition(stored(t, r).Status.Conditions, v1alpha1.ConditionReady); (ready.Status == metav1.ConditionFalse) != (step.again > 0) {
			t.Errorf("step %d: Ready is %s by %s", i, ready.Status, ready.Reason)
		}
		if got := said(recorder); !strings.HasPrefix(got, step.said) || step.said == "" && got != "" {
			t.Errorf("step %d said %q, want %q", i, got, step.said)
		}
	}
}

func TestModes(t *testing.T) {
	would := []v1alpha1.WouldGrant{{Repository: v1alpha1.Repository{Name: "services"}, Member: "serviceAccount:x", FirstTime: metav1.NewTime(now)}}
	tests := map[string]struct {
		edit  func(*v1alpha1.PullAccessPolicySpec)
		ready string
		would int
	}{
		"dry run keeps what it would have granted": {func(s *v1alpha1.PullAccessPolicySpec) { s.Mode = v1alpha1.ModeDryRun }, "True DryRun", 1},
		"approve":         {func(s *v1alpha1.PullAccessPolicySpec) { s.Mode = v1alpha1.ModeApprove }, "True Approve", 0},
		"enforce":         {nil, "True InForce", 0},
		"paused outranks": {func(s *v1alpha1.PullAccessPolicySpec) { s.Pause = &v1alpha1.PauseSpec{Reason: "freeze."} }, "False Paused", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			policy := policyOf(tc.edit)
			policy.Status.WouldGrant = would
			r, _, _ := setUp(t, policy, fakeCloud{"services": present, "tools": present}, nil)
			if _, err := r.Reconcile(t.Context(), stored(t, r)); err != nil {
				t.Fatal(err)
			}
			checkCondition(t, stored(t, r), v1alpha1.ConditionReady, tc.ready)
			if got := len(stored(t, r).Status.WouldGrant); got != tc.would {
				t.Errorf("%d grants are listed that were not made, want %d", got, tc.would)
			}
		})
	}
}
