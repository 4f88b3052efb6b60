// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

var now = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)

// ada is how the API server calls whoever runs the verbs.
const ada = "ada@example.com"

// world is a cluster, a person at a terminal, and an operator that acts when the person waits.
type world struct {
	*testing.T

	client client.WithWatch
	faults interceptor.Funcs
	clock  *clocktesting.FakePassiveClock
	// stdin is what the person types, terminal whether they can.
	stdin    string
	terminal bool
	// operator acts each time the person waits; nil does nothing.
	operator func(turn int)
	// interrupt ends the wait at that turn; 0 never.
	interrupt int
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, authenticationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{T: t, clock: clocktesting.NewFakePassiveClock(now)}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.PullAccessGrant{}, &v1alpha1.PullAccessPolicy{}).Build()
	w.faults.Create = func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
		if r, ok := object.(*authenticationv1.SelfSubjectReview); ok {
			r.Status.UserInfo.Username = ada
		}
		return nil
	}
	return w
}

// run runs approve, deny or revoke.
func (w *world) run(verb string, arguments ...string) (out, errOut string, err error) {
	w.Helper()
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	streams := genericiooptions.IOStreams{In: strings.NewReader(w.stdin), Out: &stdout, ErrOut: &stderr}
	o := &options{IOStreams: streams, clock: w.clock, config: genericclioptions.NewConfigFlags(false), connect: func() (client.Client, error) {
		return interceptor.NewClient(w.client, w.faults), nil
	}}
	turn := 0
	r := &revoker{options: o, terminal: func() bool { return w.terminal }, sleep: func(_ context.Context, d time.Duration) {
		if turn++; turn == w.interrupt {
			cancel()
		}
		w.clock.SetTime(w.clock.Now().Add(d))
		if w.operator != nil {
			w.operator(turn)
		}
	}}
	c := r.command()
	switch verb {
	case "approve":
		c = (&answerer{o, v1alpha1.ReviewApproved}).command()
	case "deny":
		c = (&answerer{o, v1alpha1.ReviewDenied}).command()
	}
	c.SetArgs(append([]string{}, arguments...))
	c.SilenceErrors, c.SilenceUsage = true, true
	err = c.ExecuteContext(ctx)
	return stdout.String(), stderr.String(), err
}

func (w *world) grant(name string) *v1alpha1.PullAccessGrant {
	w.Helper()
	g := &v1alpha1.PullAccessGrant{}
	if err := w.client.Get(w.Context(), types.NamespacedName{Name: name}, g); err != nil {
		w.Fatal(err)
	}
	return g
}

// change writes the status of a grant, as the operator does.
func (w *world) change(name string, change func(*v1alpha1.PullAccessGrant)) {
	w.Helper()
	g := w.grant(name)
	change(g)
	if err := w.client.Status().Update(w.Context(), g); err != nil {
		w.Fatal(err)
	}
}

// end has the grant come to the end that a person has asked for.
func (w *world) end(name string) {
	w.change(name, func(g *v1alpha1.PullAccessGrant) { ended(v1alpha1.EndReason(g.Status.Review.Decision))(g) })
}

// said is the word on a grant: DECISION USER REASON.
func (w *world) said(name string) string {
	w.Helper()
	r := w.grant(name).Status.Review
	if r == nil {
		return ""
	}
	return strings.TrimSpace(string(r.Decision) + " " + r.User + " " + r.Reason)
}

type status func(*v1alpha1.PullAccessGrant)

func is(conditionType string, s metav1.ConditionStatus, reason, message string) status {
	return func(g *v1alpha1.PullAccessGrant) {
		meta.SetStatusCondition(&g.Status.Conditions, metav1.Condition{Type: conditionType, Status: s, Reason: reason, Message: message})
	}
}

func waiting(g *v1alpha1.PullAccessGrant) {
	is(v1alpha1.ConditionApproved, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForApproval, "")(g)
	is(v1alpha1.ConditionGranted, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForApproval, "")(g)
	g.Status.Proposal = &v1alpha1.Proposal{PolicyUID: "uid", PolicyGeneration: 1, LapseTime: metav1.NewTime(now.Add(time.Hour))}
}

func granted(g *v1alpha1.PullAccessGrant) {
	is(v1alpha1.ConditionApproved, metav1.ConditionTrue, v1alpha1.ReasonPolicyEnforces, "")(g)
	is(v1alpha1.ConditionGranted, metav1.ConditionTrue, v1alpha1.ReasonAccessGranted, "")(g)
	g.Status.Origin = v1alpha1.OriginAdded
}

func found(g *v1alpha1.PullAccessGrant) {
	granted(g)
	g.Status.Origin = v1alpha1.OriginFound
}

// limited is held back by a limit of its policy, and nothing is written.
func limited(g *v1alpha1.PullAccessGrant) {
	is(v1alpha1.ConditionGranted, metav1.ConditionFalse, string(v1alpha1.LimitCircuitBreaker), "")(g)
}

// forbidden is what Google has refused to add.
func forbidden(g *v1alpha1.PullAccessGrant) {
	is(v1alpha1.ConditionApproved, metav1.ConditionTrue, v1alpha1.ReasonPolicyEnforces, "")(g)
	is(v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonCloudForbidden, "")(g)
}

// interrupted may or may not be written.
func interrupted(g *v1alpha1.PullAccessGrant) {
	is(v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonGranting, "")(g)
	g.Status.Write = &v1alpha1.IAMPolicyWrite{IntentTime: metav1.NewTime(now), EtagBefore: "BwYx"}
}

func severalClusters(g *v1alpha1.PullAccessGrant) {
	granted(g)
	g.Status.Lifetime.AccountsUsedBy = v1alpha1.UsedBySeveralClusters
}

func ended(reason v1alpha1.EndReason) status {
	return func(g *v1alpha1.PullAccessGrant) {
		at := metav1.NewTime(now)
		is(v1alpha1.ConditionApproved, metav1.ConditionFalse, string(reason), "")(g)
		is(v1alpha1.ConditionGranted, metav1.ConditionFalse, string(reason), "")(g)
		g.Status.EndedTime = &at
	}
}

func word(d v1alpha1.ReviewDecision, user, reason string) status {
	return func(g *v1alpha1.PullAccessGrant) {
		g.Status.Review = &v1alpha1.Review{Decision: d, User: user, Reason: reason}
	}
}

// grantOf is a grant of policy prod on a repository of its own name.
func grantOf(name string, statuses ...status) *v1alpha1.PullAccessGrant {
	g := &v1alpha1.PullAccessGrant{Spec: v1alpha1.PullAccessGrantSpec{
		Repository: v1alpha1.Repository{Project: "acme-images-306", Location: "us-central1", Name: name},
		Member:     "serviceAccount:gke-nodes@acme-prod-417.iam.gserviceaccount.com", Policy: "prod",
		Workload: v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "web"},
	}}
	g.Name = name
	for _, s := range statuses {
		s(g)
	}
	return g
}

func policyOf(name string, mode v1alpha1.PolicyMode, pause *v1alpha1.PauseSpec) *v1alpha1.PullAccessPolicy {
	p := &v1alpha1.PullAccessPolicy{Spec: v1alpha1.PullAccessPolicySpec{Mode: mode, Pause: pause}}
	p.Name = name
	return p
}

func wantWords(t *testing.T, what, got string, words ...string) {
	t.Helper()
	if len(words) == 0 && got != "" {
		t.Errorf("%s is %q, want none", what, got)
	}
	for _, word := range words {
		if !strings.Contains(got, word) {
			t.Errorf("%s is\n%s\nwant it to say %q", what, got, word)
		}
	}
}
