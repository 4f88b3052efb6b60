// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"context"
	"fmt"
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
	// Calls are the calls of Client: a verb ("get", "list", "create", "update", "delete",
	// "patch", "patch status"), and "KIND NAMESPACE/NAME", or "KIND NAME" without a namespace.
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
	delete(writes, "get")
	delete(writes, "list")
	return writes
}

// intercept records each call before it goes through Faults, or else to the API server.
func (e *Env) intercept() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			e.Calls.record("get", target(o, key))
			if e.Faults.Get != nil {
				return e.Faults.Get(ctx, c, key, o, options...)
			}
			return c.Get(ctx, key, o, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			e.Calls.record("list", kindOf(list))
			if e.Faults.List != nil {
				return e.Faults.List(ctx, c, list, options...)
			}
			return c.List(ctx, list, options...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			e.Calls.record("create", target(o, client.ObjectKeyFromObject(o)))
			if e.Faults.Create != nil {
				return e.Faults.Create(ctx, c, o, options...)
			}
			return c.Create(ctx, o, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			e.Calls.record("update", target(o, client.ObjectKeyFromObject(o)))
			if e.Faults.Update != nil {
				return e.Faults.Update(ctx, c, o, options...)
			}
			return c.Update(ctx, o, options...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			e.Calls.record("delete", target(o, client.ObjectKeyFromObject(o)))
			if e.Faults.Delete != nil {
				return e.Faults.Delete(ctx, c, o, options...)
			}
			return c.Delete(ctx, o, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, options ...client.PatchOption) error {
			e.Calls.record("patch", target(o, client.ObjectKeyFromObject(o)))
			if e.Faults.Patch != nil {
				return e.Faults.Patch(ctx, c, o, patch, options...)
			}
			return c.Patch(ctx, o, patch, options...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			e.Calls.record("patch "+sub, target(o, client.ObjectKeyFromObject(o)))
			if e.Faults.SubResourcePatch != nil {
				return e.Faults.SubResourcePatch(ctx, c, sub, o, patch, options...)
			}
			return c.SubResource(sub).Patch(ctx, o, patch, options...)
		},
		DeleteAllOf: func(context.Context, client.WithWatch, client.Object, ...client.DeleteAllOfOption) error {
			return unrecorded("delete all of")
		},
		Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			return unrecorded("apply")
		},
		SubResourceCreate: func(context.Context, client.Client, string, client.Object, client.Object, ...client.SubResourceCreateOption) error {
			return unrecorded("create a subresource")
		},
		SubResourceUpdate: func(context.Context, client.Client, string, client.Object, ...client.SubResourceUpdateOption) error {
			return unrecorded("update a subresource")
		},
		SubResourceApply: func(context.Context, client.Client, string, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
			return unrecorded("apply a subresource")
		},
	}
}

// unrecorded is the error of a verb that no controller uses. Its calls would be neither
// recorded nor subject to Faults, so that a test could not notice them.
func unrecorded(verb string) error { return fmt.Errorf("controllertest records no call to %s", verb) }

// target is "KIND NAMESPACE/NAME", or "KIND NAME".
func target(object runtime.Object, key client.ObjectKey) string {
	return kindOf(object) + " " + strings.TrimPrefix(key.String(), "/")
}

// kindOf is the kind of an object, by its Go type: decoded objects have no other.
func kindOf(object runtime.Object) string {
	name := fmt.Sprintf("%T", object)
	return name[strings.LastIndex(name, ".")+1:]
}
