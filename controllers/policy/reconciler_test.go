// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/demand"
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
	e := controllertest.New(t, policy, namespace(controllertest.Namespace, nil))
	e.Cloud.Repositories = cloud
	return env{e, New(Reconciler{
		Client: e.Client, Cloud: e.Cloud, Recorder: e.Recorder, Clock: e.Clock, Ledger: e.Ledger(), Demand: demand.New(e.Clock),
	})}
}

func namespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// mustPass reconciles the policy once, without an error.
func (e env) mustPass() reconcile.Result {
	e.Helper()
	result, err := e.r.Reconcile(e.Context(), e.stored())
	if err != nil {
		e.Fatalf("Reconcile: %v", err)
	}
	return result
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
	if c.ObservedGeneration != 3 || !strings.HasSuffix(c.Message, ".") {
		t.Errorf("%s observed generation %d and says %q", conditionType, c.ObservedGeneration, c.Message)
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
			ready: "False RepositoryNotFound", access: "False RepositoryNotFound", again: troubleAgain, event: "Warning RepositoryNotFound ",
		},
		"forbidden": {
			cloud: repositories{"services": forbidden, "tools": present},
			ready: "False CloudForbidden", access: "False CloudForbidden", again: troubleAgain, event: "Warning CloudForbidden ",
		},
		"unavailable": {
			cloud: repositories{"services": unavailable, "tools": present},
			ready: "Unknown CloudUnreachable", access: "False CloudUnreachable", again: unreachableAgain, event: "Warning CloudUnreachable ",
		},
		"unavailable for long": {
			cloud: repositories{"services": diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unavailable, RetryAfter: time.Hour}}, "tools": present},
			ready: "Unknown CloudUnreachable", access: "False CloudUnreachable", again: time.Hour, event: "Warning CloudUnreachable ",
			why: "Google said when to come back",
		},
		"unreadable": {
			cloud: repositories{"services": unreadable, "tools": present},
			ready: "False RepositoryUnreadable", access: "False RepositoryUnreadable", again: troubleAgain, event: "Warning RepositoryUnreadable ",
		},
		"unavailable and missing": {
			cloud: repositories{"services": unavailable, "tools": missing},
			ready: "False RepositoryNotFound", access: "False RepositoryNotFound", again: unreachableAgain, event: "Warning RepositoryNotFound ",
			why: "waiting does not help",
		},
		"no namespace": {
			cloud: readable, edit: func(s *v1alpha1.PullAccessPolicySpec) {
				s.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}
			},
			ready: "False NoNamespaceSelected", access: "True RepositoriesReadable", event: "Warning NoNamespaceSelected ",
		},
		"no namespace selector": {
			cloud: readable, edit: func(s *v1alpha1.PullAccessPolicySpec) { s.NamespaceSelector = nil },
			ready: "False NoNamespaceSelected", access: "True RepositoriesReadable", event: "Warning NoNamespaceSelected ",
			why: "the zero value covers nothing",
		},
		"broken namespace selector": {
			cloud: readable, edit: func(s *v1alpha1.PullAccessPolicySpec) { s.NamespaceSelector = broken },
			ready: "False InvalidSelector", access: "True RepositoriesReadable", event: "Warning InvalidSelector spec.namespaceSelector ",
		},
		"broken pod selector, cloud unavailable": {
			cloud: repositories{"services": unavailable, "tools": present}, edit: func(s *v1alpha1.PullAccessPolicySpec) { s.PodSelector = broken },
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

// TestLimits: what the ledger holds back is published until it no longer does.
func TestLimits(t *testing.T) {
	e := newEnv(t, policyOf(func(s *v1alpha1.PullAccessPolicySpec) { s.Limits.MaxGrantsPerHour = 1 }), repositories{"services": present, "tools": present})
	key := limit.KeyOf(e.stored())
	e.r.Ledger.Reserve(limit.Act{Policy: key, Limit: v1alpha1.LimitGrants, Namespace: "shop"}, 1, 2, now)
	e.r.Ledger.Trip(key, now.Add(5*time.Minute), now)
	for i, step := range []struct {
		at     time.Time
		limits string
		again  time.Duration
		event  string
	}{
		{now, "False GrantsPerHour", 5 * time.Minute, "Warning GrantsPerHour "},
		{now.Add(5 * time.Minute), "False GrantsPerHour", time.Hour, ""},
		{now.Add(65 * time.Minute), "True WithinLimits", 0, ""},
	} {
		e.Clock.SetTime(step.at)
		if result := e.mustPass(); result.RequeueAfter != step.again {
			t.Errorf("step %d: %+v; want a look after %v", i, result, step.again)
		}
		checkCondition(t, e.stored(), v1alpha1.ConditionWithinLimits, step.limits)
		if ready := meta.FindStatusCondition(e.stored().Status.Conditions, v1alpha1.ConditionReady); (ready.Status == metav1.ConditionFalse) != (step.again > 0) {
			t.Errorf("step %d: Ready is %s by %s", i, ready.Status, ready.Reason)
		}
		if counts := e.stored().Status.Limits.Grants; (len(counts) == 1) != (step.again > 0) {
			t.Errorf("step %d: the status counts %+v", i, counts)
		}
		e.wantEvent(step.event, "step %d", i)
	}
}

// TestUnseededLedgerPublishesNothing: the status is what the ledger is seeded from.
func TestUnseededLedgerPublishesNothing(t *testing.T) {
	policy := policyOf(nil)
	policy.Status.Limits.Grants = limit.Add(nil, 7, now)
	e := newEnv(t, policy, repositories{"services": present, "tools": present})
	e.r.Ledger = limit.NewLedger()
	if result := e.mustPass(); result.RequeueAfter != publishAfter {
		t.Errorf("Reconcile = %+v", result)
	}
	seeder := &Seeder{Client: e.Client, Ledger: e.r.Ledger, Clock: e.Clock}
	if err := seeder.Start(t.Context()); err != nil || !e.r.Ledger.Seeded() || !seeder.NeedLeaderElection() {
		t.Fatalf("Start: %v", err)
	}
	e.mustPass()
	if n := e.Counted(e.r.Ledger, v1alpha1.LimitGrants); n != 7 || len(e.stored().Status.Limits.Grants) != 1 {
		t.Errorf("%d grants are counted, the status has %+v; want the 7 that were there", n, e.stored().Status.Limits)
	}
}

// TestSeederRetries: while the records cannot be read, the ledger denies.
func TestSeederRetries(t *testing.T) {
	e := newEnv(t, policyOf(nil), nil)
	e.r.Ledger = limit.NewLedger()
	seeder := &Seeder{Client: e.Client, Ledger: e.r.Ledger, Clock: e.Clock}
	ctx, cancel := context.WithCancel(t.Context())
	e.Faults.List = func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
		cancel() // The process stops while the API server does not answer.
		return errors.New("broken")
	}
	if err := seeder.Start(ctx); err != nil || e.r.Ledger.Seeded() {
		t.Errorf("Start: %v, seeded %v", err, e.r.Ledger.Seeded())
	}
}

func TestModes(t *testing.T) {
	tests := map[string]struct {
		edit  func(*v1alpha1.PullAccessPolicySpec)
		ready string
		would int
	}{
		"dry run":         {func(s *v1alpha1.PullAccessPolicySpec) { s.Mode = v1alpha1.ModeDryRun }, "True DryRun", 1},
		"no mode":         {func(s *v1alpha1.PullAccessPolicySpec) { s.Mode = "" }, "True DryRun", 1},
		"approve":         {func(s *v1alpha1.PullAccessPolicySpec) { s.Mode = v1alpha1.ModeApprove }, "True Approve", 0},
		"enforce":         {nil, "True Enforcing", 0},
		"paused outranks": {func(s *v1alpha1.PullAccessPolicySpec) { s.Pause = &v1alpha1.PauseSpec{Reason: "freeze."} }, "False Paused", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, policyOf(tc.edit), repositories{"services": present, "tools": present})
			listAccounts(e)
			e.fails("web-1", e.need(nil))
			e.mustPass()
			checkCondition(t, e.stored(), v1alpha1.ConditionReady, tc.ready)
			if got := len(e.stored().Status.WouldGrant); got != tc.would {
				t.Errorf("%d grants are listed that were not made, want %d", got, tc.would)
			}
		})
	}
}
