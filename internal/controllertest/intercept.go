// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// intercept records each call before it goes through Faults, or else to the API server. It
// has a function for every verb: one without would bypass both.
func (e *Env) intercept() interceptor.Funcs {
	funcs := interceptor.Funcs{}
	e.interceptReads(&funcs)
	e.interceptWrites(&funcs)
	e.interceptApplies(&funcs)
	e.interceptSubresources(&funcs)
	return funcs
}

func (e *Env) interceptReads(funcs *interceptor.Funcs) {
	funcs.Get = func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
		e.Calls.record("get", target(o, key))
		if e.Faults.Get != nil {
			return e.Faults.Get(ctx, c, key, o, options...)
		}
		return c.Get(ctx, key, o, options...)
	}
	funcs.List = func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		e.Calls.record("list", kindOf(list))
		if e.Faults.List != nil {
			return e.Faults.List(ctx, c, list, options...)
		}
		return c.List(ctx, list, options...)
	}
	funcs.Watch = func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
		e.Calls.record("watch", kindOf(list))
		if e.Faults.Watch != nil {
			return e.Faults.Watch(ctx, c, list, options...)
		}
		return c.Watch(ctx, list, options...)
	}
	funcs.SubResourceGet = func(ctx context.Context, c client.Client, sub string, o, body client.Object, options ...client.SubResourceGetOption) error {
		e.Calls.record("get "+sub, targetOf(o))
		if e.Faults.SubResourceGet != nil {
			return e.Faults.SubResourceGet(ctx, c, sub, o, body, options...)
		}
		return c.SubResource(sub).Get(ctx, o, body, options...)
	}
}

func (e *Env) interceptWrites(funcs *interceptor.Funcs) {
	funcs.Create = func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
		e.Calls.record("create", targetOf(o))
		if e.Faults.Create != nil {
			return e.Faults.Create(ctx, c, o, options...)
		}
		return c.Create(ctx, o, options...)
	}
	funcs.Update = func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
		e.Calls.record("update", targetOf(o))
		if e.Faults.Update != nil {
			return e.Faults.Update(ctx, c, o, options...)
		}
		return c.Update(ctx, o, options...)
	}
	funcs.Delete = func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
		e.Calls.record("delete", targetOf(o))
		if e.Faults.Delete != nil {
			return e.Faults.Delete(ctx, c, o, options...)
		}
		return c.Delete(ctx, o, options...)
	}
	funcs.DeleteAllOf = func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteAllOfOption) error {
		e.Calls.record("deletecollection", kindOf(o))
		if e.Faults.DeleteAllOf != nil {
			return e.Faults.DeleteAllOf(ctx, c, o, options...)
		}
		return c.DeleteAllOf(ctx, o, options...)
	}
	funcs.Patch = func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, options ...client.PatchOption) error {
		e.Calls.record("patch", targetOf(o))
		if e.Faults.Patch != nil {
			return e.Faults.Patch(ctx, c, o, patch, options...)
		}
		return c.Patch(ctx, o, patch, options...)
	}
}

func (e *Env) interceptApplies(funcs *interceptor.Funcs) {
	funcs.Apply = func(ctx context.Context, c client.WithWatch, applied runtime.ApplyConfiguration, options ...client.ApplyOption) error {
		e.Calls.record("apply", appliedTarget(applied))
		if e.Faults.Apply != nil {
			return e.Faults.Apply(ctx, c, applied, options...)
		}
		return c.Apply(ctx, applied, options...)
	}
	funcs.SubResourceApply = func(ctx context.Context, c client.Client, sub string, applied runtime.ApplyConfiguration, options ...client.SubResourceApplyOption) error {
		e.Calls.record("apply "+sub, appliedTarget(applied))
		if e.Faults.SubResourceApply != nil {
			return e.Faults.SubResourceApply(ctx, c, sub, applied, options...)
		}
		return c.SubResource(sub).Apply(ctx, applied, options...)
	}
}

func (e *Env) interceptSubresources(funcs *interceptor.Funcs) {
	funcs.SubResourceCreate = func(ctx context.Context, c client.Client, sub string, o, body client.Object, options ...client.SubResourceCreateOption) error {
		e.Calls.record("create "+sub, targetOf(o))
		if e.Faults.SubResourceCreate != nil {
			return e.Faults.SubResourceCreate(ctx, c, sub, o, body, options...)
		}
		return c.SubResource(sub).Create(ctx, o, body, options...)
	}
	funcs.SubResourceUpdate = func(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
		e.Calls.record("update "+sub, targetOf(o))
		if e.Faults.SubResourceUpdate != nil {
			return e.Faults.SubResourceUpdate(ctx, c, sub, o, options...)
		}
		return c.SubResource(sub).Update(ctx, o, options...)
	}
	funcs.SubResourcePatch = func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
		e.Calls.record("patch "+sub, targetOf(o))
		if e.Faults.SubResourcePatch != nil {
			return e.Faults.SubResourcePatch(ctx, c, sub, o, patch, options...)
		}
		return c.SubResource(sub).Patch(ctx, o, patch, options...)
	}
}

// targetOf is target with the object's own key.
func targetOf(object client.Object) string { return target(object, client.ObjectKeyFromObject(object)) }

// target is "KIND NAMESPACE/NAME", or "KIND NAME".
func target(object runtime.Object, key client.ObjectKey) string {
	return kindOf(object) + " " + strings.TrimPrefix(key.String(), "/")
}

// appliedTarget is target of an apply configuration, as its JSON has it.
func appliedTarget(applied runtime.ApplyConfiguration) string {
	data, err := json.Marshal(applied)
	if err != nil {
		return err.Error()
	}
	var sent struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(data, &sent); err != nil {
		return err.Error()
	}
	key := client.ObjectKey{Namespace: sent.Metadata.Namespace, Name: sent.Metadata.Name}
	return sent.Kind + " " + strings.TrimPrefix(key.String(), "/")
}

// kindOf is the kind of an object, by its Go type: decoded objects have no other.
func kindOf(object runtime.Object) string {
	name := fmt.Sprintf("%T", object)
	return name[strings.LastIndex(name, ".")+1:]
}
