// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/demand"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

var (
	now        = controllertest.Start
	repository = controllertest.Services
)

const (
	nodes   = controllertest.Member
	batch   = "serviceAccount:batch@acme-prod.iam.gserviceaccount.com"
	spare   = "serviceAccount:spare@acme-prod.iam.gserviceaccount.com"
	foreign = "group:developers@example.com"
)

// env is an environment with the reconciler of one repository.
type env struct {
	*controllertest.Env
	r *Reconciler
	// pauses are those of its edits. They pass at once.
	pauses []time.Duration
	// onPause is called in each pause, with the number of the read that follows.
	onPause func(read int)
	// demand outlives a restart: pods fail on.
	demand *demand.Store
	// idle: no pod needs a grant. Otherwise each grant is needed in each of its namespaces.
	idle bool
}

// need has a pod of the namespace need the grant.
func (e *env) need(g *v1alpha1.PullAccessGrant, namespace string) {
	e.demand.Set(types.NamespacedName{Namespace: namespace, Name: g.Name}, []demand.Need{{
		Repository: imageref.Of(g.Spec.Repository), Member: g.Spec.Member, Policy: g.Spec.Policy, Mode: v1alpha1.ModeEnforce, Workload: g.Spec.Workload,
	}}, time.Time{})
}

// needAll has a pod fail for each grant.
func (e *env) needAll() {
	grants := e.Grants()
	for i := range grants {
		for _, namespace := range grantstatus.Namespaces(&grants[i]) {
			e.need(&grants[i], namespace)
		}
	}
}

// shop returns the namespace of all workloads here.
func shop() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: controllertest.Namespace, Labels: map[string]string{"team": "a"}}}
}

// newEnv returns an environment with namespace shop, whose repository has these readers.
func newEnv(t *testing.T, readers []string, objects ...client.Object) *env {
	t.Helper()
	e := &env{Env: controllertest.New(t, append(objects, shop())...)}
	e.Index(&v1alpha1.PullAccessGrant{}, byRepository, indexRepository)
	e.setRepository(controllertest.StandardRepository())
	e.Cloud.SetReaders(repository.Name, readers...)
	e.demand = demand.New(e.Clock)
	e.demand.Expect(nil)
	e.restart()
	return e
}

// readers are those of the repository.
func readers(members ...string) []string { return members }

func (e *env) setRepository(r diagnosis.Repository) { e.Cloud.Repositories[repository.Name] = r }

// restart is what a new process finds: the same cluster and cloud, no faults, and no memory.
func (e *env) restart() {
	e.Faults = interceptor.Funcs{}
	e.r = New(Reconciler{Client: e.Client, Cloud: cloud{e.Cloud}, Recorder: e.Recorder, Clock: e.Clock, Policies: outcome.NewPolicies(), Grants: outcome.NewGrants(), Demand: e.demand})
	e.r.wait = func(ctx context.Context, d time.Duration) error {
		e.pauses = append(e.pauses, d)
		if e.onPause != nil {
			e.onPause(e.edits() + 1)
		}
		return ctx.Err()
	}
}

// cloud is the fake cloud as the port that the reconciler declares.
type cloud struct{ *controllertest.Cloud }

// Prepare implements Cloud.
func (c cloud) Prepare(ctx context.Context, repository imageref.Repository, edit iampolicy.Edit) (Prepared, error) {
	prepared, err := c.Cloud.Prepare(ctx, repository, edit)
	if err != nil {
		return nil, err
	}
	return prepared, nil
}

// at sets the time.
func (e *env) at(t time.Time) { e.Clock.SetTime(t) }

// edits and looks count the reads for an edit, and for members that were removed.
func (e *env) edits() int { return len(e.Cloud.Calls.Of(controllertest.MethodPrepare)) }
func (e *env) looks() int { return len(e.Cloud.Calls.Of(controllertest.MethodAbsent)) }

// nextEdits sets the errors of the next reads for an edit.
func (e *env) nextEdits(errs ...error) { e.Cloud.NextErr[controllertest.MethodPrepare] = errs }

// pass reconciles once and checks what every pass must leave.
func (e *env) pass() (reconcile.Result, error) {
	e.Helper()
	if !e.idle {
		e.needAll()
	}
	result, err := e.r.Reconcile(e.Context(), repository)
	if err != nil && result != (reconcile.Result{}) {
		e.Errorf("a result %+v stands beside the error %v", result, err)
	}
	grants := e.Grants()
	for i := range grants {
		e.checkInvariants(&grants[i])
	}
	return result, err
}

// mustPass is a pass that ends without an error.
func (e *env) mustPass() reconcile.Result {
	e.Helper()
	result, err := e.pass()
	if err != nil {
		e.Fatalf("Reconcile: %v", err)
	}
	return result
}

// checkInvariants holds of every grant that a pass leaves.
func (e *env) checkInvariants(g *v1alpha1.PullAccessGrant) {
	e.Helper()
	for _, c := range g.Status.Conditions {
		if c.ObservedGeneration != g.Generation || c.Reason == "" || c.Message == "" {
			e.Errorf("grant %s: condition %+v is not of generation %d, or says nothing", g.Name, c, g.Generation)
		}
	}
	if len(g.Status.Conditions) > 0 && g.Status.ObservedGeneration != g.Generation {
		e.Errorf("grant %s: its status describes generation %d, want %d", g.Name, g.Status.ObservedGeneration, g.Generation)
	}
	if len(g.Status.Conditions) > 0 && meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady) == nil {
		e.Errorf("grant %s has conditions and no Ready", g.Name)
	}
	if grantstatus.Granted(g) != (g.Status.Origin != "") || grantstatus.Granted(g) != (g.Status.GrantedTime != nil) {
		e.Errorf("grant %s: Granted, origin and time contradict each other: %+v", g.Name, g.Status)
	}
	if g.Status.Write != nil && !slices.Contains(g.Finalizers, v1alpha1.Finalizer) {
		e.Errorf("grant %s has a write on record and no finalizer", g.Name)
	}
}

// grant reads the grant of member; nil if it is gone.
func (e *env) grant(member string) *v1alpha1.PullAccessGrant {
	e.Helper()
	return e.Grant(nameOf(member))
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
func (e *env) wantCondition(member, name, want string) {
	e.Helper()
	g := e.grant(member)
	if g == nil {
		e.Fatalf("the grant of %s is gone", member)
	}
	if got := condition(g, name); got != want {
		e.Errorf("%s: %s is %q, want %q", member, name, got, want)
	}
}

func (e *env) wantReaders(want ...string) {
	e.Helper()
	if got := e.Cloud.Readers(repository.Name); !slices.Equal(got, want) {
		e.Errorf("the readers are %q, want %q", got, want)
	}
}

func nameOf(member string) string { return decision.GrantName(repository, member) }

// enforcing is a policy that allows the members used here.
func enforcing() *v1alpha1.PullAccessPolicy {
	return controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Repositories[0].Location = "*" })
}

// requested is a grant as the pod controller makes it.
func requested(member string) *v1alpha1.PullAccessGrant { return controllertest.Grant(member) }

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
