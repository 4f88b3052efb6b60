// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"maps"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Env is what a controller runs in. One test owns it.
type Env struct {
	*testing.T
	// Client is the client of the controller. It records its calls and goes through Faults.
	Client client.WithWatch
	// Server is the client of the test: neither recorded nor subject to Faults.
	Server client.WithWatch
	// Lister lists from Client in pages.
	Lister *Lister
	// Faults replace calls of Client. They apply from when they are set.
	Faults interceptor.Funcs
	// Calls are the calls of Client: a verb ("get", "list", "watch", "create", "update",
	// "delete", "deletecollection", "patch", "apply"; with a subresource "patch status"), and
	// "KIND NAMESPACE/NAME", or "KIND NAME" without a namespace.
	Calls    Calls
	Cloud    *Cloud
	Clock    *clocktesting.FakePassiveClock
	Recorder *Recorder
}

// New returns an environment in which it is Start, with an API server that holds the
// objects and with an empty cloud.
func New(t *testing.T, objects ...client.Object) *Env {
	t.Helper()
	e := &Env{T: t, Cloud: NewCloud(), Clock: clocktesting.NewFakePassiveClock(Start), Recorder: &Recorder{}}
	e.Load(objects...)
	return e
}

// Load replaces the API server by one that holds the objects: Client, Server and Lister
// are new.
func (e *Env) Load(objects ...client.Object) {
	e.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			e.Fatal(err)
		}
	}
	e.Server = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.PullAccessGrant{}, &v1alpha1.PullAccessPolicy{}).Build()
	e.Client = interceptor.NewClient(e.Server, e.intercept())
	e.Lister = NewLister(e.Client)
}

// Index lets the client list the objects by the field.
func (e *Env) Index(object client.Object, field string, values client.IndexerFunc) {
	e.Helper()
	if err := fake.AddIndex(e.Server, object, field, values); err != nil {
		e.Fatal(err)
	}
}

// Create adds the objects to the API server.
func (e *Env) Create(objects ...client.Object) {
	e.Helper()
	for _, object := range objects {
		if err := e.Server.Create(e.Context(), object); err != nil {
			e.Fatal(err)
		}
	}
}

// UpdateStatus writes the object's status as another controller, or a person, does.
func (e *Env) UpdateStatus(object client.Object) {
	e.Helper()
	if err := e.Server.Status().Update(e.Context(), object); err != nil {
		e.Fatal(err)
	}
}

// Delete deletes the object: one with a finalizer stays until that is removed.
func (e *Env) Delete(object client.Object) {
	e.Helper()
	if err := e.Server.Delete(e.Context(), object); err != nil {
		e.Fatal(err)
	}
}

// Grant reads the grant of that name, nil if it is gone.
func (e *Env) Grant(name string) *v1alpha1.PullAccessGrant {
	e.Helper()
	grant := &v1alpha1.PullAccessGrant{}
	if !e.get(name, grant) {
		return nil
	}
	return grant
}

// Grants lists the grants.
func (e *Env) Grants() []v1alpha1.PullAccessGrant {
	e.Helper()
	var list v1alpha1.PullAccessGrantList
	if err := e.Server.List(e.Context(), &list); err != nil {
		e.Fatal(err)
	}
	return list.Items
}

// Policy reads the policy of that name, nil if it is gone.
func (e *Env) Policy(name string) *v1alpha1.PullAccessPolicy {
	e.Helper()
	policy := &v1alpha1.PullAccessPolicy{}
	if !e.get(name, policy) {
		return nil
	}
	return policy
}

func (e *Env) get(name string, object client.Object) bool {
	e.Helper()
	err := e.Server.Get(e.Context(), client.ObjectKey{Name: name}, object)
	if err != nil && !apierrors.IsNotFound(err) {
		e.Fatal(err)
	}
	return err == nil
}

// Step moves the clock.
func (e *Env) Step(d time.Duration) { e.Clock.SetTime(e.Clock.Now().Add(d)) }

// Writes counts the calls of Client that are not reads, by verb.
func (e *Env) Writes() map[string]int {
	writes := e.Calls.Counts()
	maps.DeleteFunc(writes, func(verb string, _ int) bool {
		return verb == "list" || verb == "watch" || verb == "get" || strings.HasPrefix(verb, "get ")
	})
	return writes
}
