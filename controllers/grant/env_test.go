// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
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
}

// newEnv returns an environment whose repository has these readers.
func newEnv(t *testing.T, readers []string, objects ...client.Object) *env {
	t.Helper()
	e := &env{Env: controllertest.New(t, objects...)}
	e.Index(&v1alpha1.PullAccessGrant{}, byRepository, indexRepository)
	e.setRepository(controllertest.StandardRepository())
	e.Cloud.SetReaders(repository.Name, readers...)
	e.restart()
	return e
}

// readers are those of the repository.
func readers(members ...string) []string { return members }

func (e *env) setRepository(r diagnosis.Repository) { e.Cloud.Repositories[repository.Name] = r }

// restart is what a new process finds: the same cluster and cloud, no faults, and no memory.
func (e *env) restart() {
	e.Faults = interceptor.Funcs{}
	e.r = New(Reconciler{Client: e.Client, Cloud: e.Cloud, Recorder: e.Recorder, Clock: e.Clock, Ledger: e.Ledger(), Grants: outcome.NewGrants()})
}

// at sets the time.
func (e *env) at(t time.Time) { e.Clock.SetTime(t) }

// edits and looks count what the cloud was asked for.
func (e *env) edits() int { return len(e.Cloud.Calls.Of(controllertest.MethodEditPolicy)) }
func (e *env) looks() int { return len(e.Cloud.Calls.Of(controllertest.MethodAbsent)) }

// nextEdits sets the errors of the next edits.
func (e *env) nextEdits(errs ...error) { e.Cloud.NextErr[controllertest.MethodEditPolicy] = errs }

// pass reconciles once and checks what every pass must leave.
func (e *env) pass() (reconcile.Result, error) {
	e.Helper()
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
