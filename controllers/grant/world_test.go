// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"fmt"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

var (
	now        = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	repository = imageref.Repository{Project: "acme-prod-417", Location: "us-central1", Name: "services"}
)

const (
	nodes   = "serviceAccount:nodes@acme-prod-417.iam.gserviceaccount.com"
	batch   = "serviceAccount:batch@acme-prod-417.iam.gserviceaccount.com"
	spare   = "serviceAccount:spare@acme-prod-417.iam.gserviceaccount.com"
	foreign = "group:developers@example.com"
)

// recorder keeps the events as "REASON KIND/NAME".
type recorder struct{ said []string }

// Eventf implements events.Recorder.
func (r *recorder) Eventf(about, _ runtime.Object, _, reason, _, _ string, _ ...any) {
	switch o := about.(type) {
	case *v1alpha1.PullAccessGrant:
		r.said = append(r.said, reason+" PullAccessGrant/"+o.Name)
	case *v1alpha1.PullAccessPolicy:
		r.said = append(r.said, reason+" PullAccessPolicy/"+o.Name)
	default:
		r.said = append(r.said, fmt.Sprintf("%s %T", reason, about))
	}
}

// world is an API server, a cloud and the reconciler between them.
type world struct {
	*testing.T
	client   client.WithWatch
	cloud    *cloud
	recorder *recorder
	r        *Reconciler
}

func newWorld(t *testing.T, c *cloud, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, cloud: c, recorder: &recorder{}}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.PullAccessGrant{}, &v1alpha1.PullAccessPolicy{}).
		WithIndex(&v1alpha1.PullAccessGrant{}, byRepository, indexRepository).Build()
	w.r = New(Reconciler{Client: w.client, Cloud: c, Recorder: w.recorder, Clock: clocktesting.NewFakePassiveClock(now), Policies: outcome.NewPolicies(), Grants: outcome.NewGrants()})
	return w
}

// inject lets the reconciler's calls go through the faults from now on.
func (w *world) inject(faults interceptor.Funcs) {
	w.r.Client = interceptor.NewClient(w.client, faults)
}

// restart is what a new process finds: the same cluster and cloud, and no memory.
func (w *world) restart() {
	w.r = New(Reconciler{Client: w.client, Cloud: w.cloud, Recorder: w.recorder, Clock: w.r.Clock, Policies: outcome.NewPolicies(), Grants: outcome.NewGrants()})
}

// pass reconciles once and checks what every pass must leave.
func (w *world) pass() (reconcile.Result, error) {
	w.Helper()
	result, err := w.r.Reconcile(w.Context(), repository)
	if err != nil && result != (reconcile.Result{}) {
		w.Errorf("a result %+v stands beside the error %v", result, err)
	}
	var grants v1alpha1.PullAccessGrantList
	if err := w.client.List(w.Context(), &grants); err != nil {
		w.Fatal(err)
	}
	for i := range grants.Items {
		w.checkInvariants(&grants.Items[i])
	}
	return result, err
}

// mustPass is a pass that ends without an error.
func (w *world) mustPass() reconcile.Result {
	w.Helper()
	result, err := w.pass()
	if err != nil {
		w.Fatalf("Reconcile: %v", err)
	}
	return result
}

// checkInvariants holds of every grant that a pass leaves.
func (w *world) checkInvariants(g *v1alpha1.PullAccessGrant) {
	w.Helper()
	for _, c := range g.Status.Conditions {
		if c.ObservedGeneration != g.Generation || c.Reason == "" || c.Message == "" {
			w.Errorf("grant %s: condition %+v is not of generation %d, or says nothing", g.Name, c, g.Generation)
		}
	}
	if len(g.Status.Conditions) > 0 && meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady) == nil {
		w.Errorf("grant %s has conditions and no Ready", g.Name)
	}
	if grantstatus.Granted(g) != (g.Status.Origin != "") || grantstatus.Granted(g) != (g.Status.GrantedTime != nil) {
		w.Errorf("grant %s: Granted, origin and time contradict each other: %+v", g.Name, g.Status)
	}
	if g.Status.Write != nil && !slices.Contains(g.Finalizers, v1alpha1.Finalizer) {
		w.Errorf("grant %s has a write on record and no finalizer", g.Name)
	}
}

// grant reads the grant of member; nil if it is gone.
func (w *world) grant(member string) *v1alpha1.PullAccessGrant {
	w.Helper()
	g := &v1alpha1.PullAccessGrant{}
	err := w.client.Get(w.Context(), client.ObjectKey{Name: nameOf(member)}, g)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.Fatal(err)
	}
	return g
}

func (w *world) remove(o client.Object) {
	w.Helper()
	if err := w.client.Delete(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

// condition is "STATUS REASON", "" if there is none.
func condition(g *v1alpha1.PullAccessGrant, name string) string {
	c := meta.FindStatusCondition(g.Status.Conditions, name)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

// wantCondition compares a condition with "STATUS REASON".
func (w *world) wantCondition(member, name, want string) {
	w.Helper()
	g := w.grant(member)
	if g == nil {
		w.Fatalf("the grant of %s is gone", member)
	}
	if got := condition(g, name); got != want {
		w.Errorf("%s: %s is %q, want %q", member, name, got, want)
	}
}

func (w *world) wantReaders(want ...string) {
	w.Helper()
	if got := w.cloud.readers(); !slices.Equal(got, want) {
		w.Errorf("the readers are %q, want %q", got, want)
	}
}

func nameOf(member string) string { return decision.GrantName(repository, member) }

// enforcing is a policy that allows the members used here.
func enforcing() *v1alpha1.PullAccessPolicy {
	return &v1alpha1.PullAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "prod", Generation: 1},
		Spec: v1alpha1.PullAccessPolicySpec{
			Mode:                v1alpha1.ModeEnforce,
			Repositories:        []v1alpha1.RepositoryPattern{{Project: repository.Project, Location: "*", Name: "services"}},
			NodeServiceAccounts: []string{"*@acme-prod-417.iam.gserviceaccount.com"},
		},
	}
}

// requested is a grant as the failure controller makes it.
func requested(member string) *v1alpha1.PullAccessGrant {
	return &v1alpha1.PullAccessGrant{
		ObjectMeta: metav1.ObjectMeta{Name: nameOf(member), Generation: 1},
		Spec: v1alpha1.PullAccessGrantSpec{
			Repository: repository.Record(), Member: member, Policy: "prod",
			Workload: v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "web", UID: "uid-web"},
		},
	}
}

// intended is a grant whose operator died between the intent and its outcome.
func intended(member string) *v1alpha1.PullAccessGrant {
	g := requested(member)
	g.Finalizers = []string{v1alpha1.Finalizer}
	grantstatus.Intend(g, true, "etag-of-then", now.Add(-time.Minute))
	return g
}

// granted is a grant that was carried out.
func granted(member string, origin v1alpha1.GrantOrigin) *v1alpha1.PullAccessGrant {
	g := requested(member)
	g.Finalizers = []string{v1alpha1.Finalizer}
	grantstatus.Grant(g, origin, "etag-of-then", now.Add(-time.Hour))
	return g
}
