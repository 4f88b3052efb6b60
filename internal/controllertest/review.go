// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ForbidReview has the test fail when Client writes status.review of a grant, which only
// people do, or updates a whole status, which writes it too. It replaces Faults for
// subresources.
func (e *Env) ForbidReview() {
	e.Faults.SubResourcePatch = func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
		data, err := patch.Data(o)
		if err != nil {
			return err
		}
		if err := e.checkReview(data); err != nil {
			return err
		}
		return c.SubResource(sub).Patch(ctx, o, patch, options...)
	}
	e.Faults.SubResourceApply = func(ctx context.Context, c client.Client, sub string, applied runtime.ApplyConfiguration, options ...client.SubResourceApplyOption) error {
		data, err := json.Marshal(applied)
		if err != nil {
			return err
		}
		if err := e.checkReview(data); err != nil {
			return err
		}
		return c.SubResource(sub).Apply(ctx, applied, options...)
	}
	e.Faults.SubResourceUpdate = func(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
		e.Errorf("the controller updates the whole %s of %s, status.review included", sub, targetOf(o))
		return c.SubResource(sub).Update(ctx, o, options...)
	}
}

// checkReview reports status.review in what a controller sends.
func (e *Env) checkReview(data []byte) error {
	var sent struct {
		Status map[string]json.RawMessage `json:"status"`
	}
	if err := json.Unmarshal(data, &sent); err != nil {
		return err
	}
	if review, ok := sent.Status["review"]; ok {
		e.Errorf("the controller writes %s into status.review: %s", review, data)
	}
	return nil
}
