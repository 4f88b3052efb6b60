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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/limit"
)

var (
	present     = controllertest.StandardRepository()
	missing     = diagnosis.Repository{State: diagnosis.Missing}
	forbidden   = diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Forbidden, Permission: "artifactregistry.repositories.get"}}
	unavailable = diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unavailable, Detail: "Google does not answer"}}
	unreadable  = diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: "the answer makes no sense"}}
)

var now = controllertest.Start

// repositories are what the cloud holds, by name.
type repositories = map[string]diagnosis.Repository

func policyOf(edit func(*v1alpha1.PullAccessPolicySpec)) *v1alpha1.PullAccessPolicy {
	return controllertest.Policy(func(policy *v1alpha1.PullAccessPolicy) {
		policy.Generation = 3
		policy.Spec.Repositories = []v1alpha1.RepositoryPattern{
			{Project: "acme-prod", Location: "us-central1", Name: "services"},
			{Project: "acme-prod", Location: "us-central1", Name: "tools"},
			{Project: "acme-prod", Location: "*", Name: "team-a"},
		}
		policy.Spec.NodeServiceAccounts = nil
		if edit != nil {
			edit(&policy.Spec)
		}
	})
}

// env is an environment with the policy and the reconciler.
type env struct {
	*controllertest.Env
	r *Reconciler
}

func newEnv(t *testing.T, policy *v1alpha1.PullAccessPolicy, cloud repositories) env {
	t.Helper()
	e := controllertest.New(t, policy)
	e.Cloud.Repositories = cloud
	return env{e, &Reconciler{Client: e.Client, Cloud: e.Cloud, Recorder: e.Recorder, Clock: e.Clock}}
}

// stored reads the policy as the server has it.
func (e env) stored() *v1alpha1.PullAccessPolicy {
	e.Helper()
	policy := e.Policy("prod")
	if policy == nil {
		e.Fatal("the policy is gone")
	}
	return policy
}

// wantEvent wants one Event that begins so since it was last called, or none for "".
func (e env) wantEvent(want, format string, args ...any) {
	e.Helper()
	got := e.Recorder.Take()
	if want == "" && len(got) == 0 || want != "" && len(got) == 1 && strings.HasPrefix(got[0], want) {
		return
	}
	e.Errorf("events %q, want %q: "+format, append([]any{got, want}, args...)...)
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
	if policy.Status.ObservedGeneration != 3 || c.ObservedGeneration != 3 || !strings.HasSuffix(c.Message, ".") {
		t.Errorf("the status describes generation %d, %s generation %d and says %q; want generation 3",
			policy.Status.ObservedGeneration, conditionType, c.ObservedGeneration, c.Message)
	}
}

func TestConditions(t *testing.T) {
	readable := repositories{"services": present, "tools": present}
	broken := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "env", Operator: "Sometimes"}}}
	tests := map[string]struct {
		cloud  repositories
		edit   func(*v1alpha1.PullAccessPolicySpec)
		ready  string
		access string
		again  time.Duration
		event  string
		why    string
	}{
		"readable": {cloud: readable, ready: "True Enforcing", access: "True RepositoriesReadable"},
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
			ready: "True Enforcing", access: "True OnlyWildcards", why: "nothing was asked, so nothing is amiss",
		},
		"a wildcard in the name": {
			edit: func(s *v1alpha1.PullAccessPolicySpec) {
				s.Repositories = []v1alpha1.RepositoryPattern{{Project: "acme-prod", Location: "us", Name: "team-*"}}
			},
			ready: "True Enforcing", access: "True OnlyWildcards",
		},
		"the second is missing": {
			cloud: repositories{"services": present, "tools": missing},
			ready: "Unknown RepositoryNotFound", access: "False RepositoryNotFound", again: troubleAgain, event: "Warning RepositoryNotFound ",
		},
		"forbidden": {
			cloud: repositories{"services": forbidden, "tools": present},
			ready: "Unknown CloudForbidden", access: "False CloudForbidden", again: troubleAgain, event: "Warning CloudForbidden ",
		},
		"unavailable": {
			cloud: repositories{"services": unavailable, "tools": present},
			ready: "Unknown CloudUnreachable", access: "False CloudUnreachable", again: unreachableAgain, event: "Warning CloudUnreachable ",
		},
		"unavailable for long": {
			cloud: repositories{"services": diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unavailable, RetryAfter: time.Hour}}},
			ready: "Unknown CloudUnreachable", access: "False CloudUnreachable", again: time.Hour, event: "Warning CloudUnreachable ",
			why: "Google said when to come back",
		},
		"unreadable": {
			cloud: repositories{"services": unreadable, "tools": present},
			ready: "Unknown RepositoryUnreadable", access: "False RepositoryUnreadable", again: troubleAgain, event: "Warning RepositoryUnreadable ",
		},
		"broken namespace selector": {
			cloud: readable, edit: func(s *v1alpha1.PullAccessPolicySpec) { s.NamespaceSelector = broken },
			ready: "False InvalidSelector", access: "True RepositoriesReadable", event: "Warning InvalidSelector spec.namespaceSelector ",
		},
		"broken pod selector, cloud unavailable": {
			cloud: repositories{"services": unavailable}, edit: func(s *v1alpha1.PullAccessPolicySpec) { s.PodSelector = broken },
			ready: "False InvalidSelector", access: "False CloudUnreachable", again: unreachableAgain, event: "Warning InvalidSelector spec.podSelector ",
			why: "the worst is named",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, policyOf(tc.edit), tc.cloud)
			for pass := range 3 {
				result, err := e.r.Reconcile(t.Context(), e.stored())
				if err != nil || result.RequeueAfter != tc.again {
					t.Fatalf("pass %d: %+v, %v; want RequeueAfter %v (%s)", pass, result, err, tc.again, tc.why)
				}
				checkCondition(t, e.stored(), v1alpha1.ConditionReady, tc.ready)
				checkCondition(t, e.stored(), v1alpha1.ConditionCloudAccess, tc.access)
				want := tc.event
				if pass > 0 {
					want = ""
				}
				e.wantEvent(want, "pass %d (%s)", pass, tc.why)
			}
			if writes := e.Writes(); len(writes) != 1 || writes["patch status"] != 1 {
				t.Errorf("three passes wrote %v, want once", writes)
			}
		})
	}
}

// TestEventsFollowChanges: trouble is told when it comes, and when it comes again.
func TestEventsFollowChanges(t *testing.T) {
	cloud := repositories{"services": unavailable, "tools": present}
	e := newEnv(t, policyOf(nil), cloud)
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
		if _, err := e.r.Reconcile(t.Context(), e.stored()); err != nil {
			t.Fatal(err)
		}
		e.wantEvent(step.want, "step %d", i)
	}
	checkCondition(t, e.stored(), v1alpha1.ConditionReady, "Unknown CloudUnreachable")
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
			e := newEnv(t, policyOf(nil), repositories{})
			e.Faults.SubResourcePatch = func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
				return tc.patch
			}
			result, err := e.r.Reconcile(t.Context(), e.stored())
			if !errors.Is(err, tc.want) || tc.want == nil && result.RequeueAfter == 0 {
				t.Errorf("Reconcile = %+v, %v; want %v", result, err, tc.want)
			}
			e.wantEvent("", "nothing is on record")
		})
	}
}

// TestLimitsAndPauses: what holds the policy back is told until it no longer does.
func TestLimitsAndPauses(t *testing.T) {
	policy := policyOf(nil)
	until := metav1.NewTime(now.Add(20 * time.Minute))
	sooner := metav1.NewTime(now.Add(5 * time.Minute))
	policy.Status.Limits.Grants = limit.Add(nil, 20, now.Add(-45*time.Minute))
	policy.Status.Limits.Restarts = limit.Add(nil, 60, now.Add(-time.Hour))
	policy.Status.Limits.Reached = []v1alpha1.ReachedLimit{
		{Limit: v1alpha1.LimitGrants, ResetTime: until}, {Limit: v1alpha1.LimitRestarts, ResetTime: sooner},
	}
	e := newEnv(t, policy, repositories{"services": present, "tools": present})
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
		e.Clock.SetTime(step.at)
		result, err := e.r.Reconcile(t.Context(), e.stored())
		if err != nil || result.RequeueAfter != step.again {
			t.Errorf("step %d: %+v, %v; want a look after %v", i, result, err, step.again)
		}
		checkCondition(t, e.stored(), v1alpha1.ConditionWithinLimits, step.limits)
		if ready := meta.FindStatusCondition(e.stored().Status.Conditions, v1alpha1.ConditionReady); (ready.Status == metav1.ConditionFalse) != (step.again > 0) {
			t.Errorf("step %d: Ready is %s by %s", i, ready.Status, ready.Reason)
		}
		e.wantEvent(step.said, "step %d", i)
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
		"enforce":         {nil, "True Enforcing", 0},
		"paused outranks": {func(s *v1alpha1.PullAccessPolicySpec) { s.Pause = &v1alpha1.PauseSpec{Reason: "freeze."} }, "False Paused", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			policy := policyOf(tc.edit)
			policy.Status.WouldGrant = would
			e := newEnv(t, policy, repositories{"services": present, "tools": present})
			if _, err := e.r.Reconcile(t.Context(), e.stored()); err != nil {
				t.Fatal(err)
			}
			checkCondition(t, e.stored(), v1alpha1.ConditionReady, tc.ready)
			if got := len(e.stored().Status.WouldGrant); got != tc.would {
				t.Errorf("%d grants are listed that were not made, want %d", got, tc.would)
			}
		})
	}
}
