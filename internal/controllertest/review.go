// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"context"
	"encoding/json"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ForbidReview has the test fail when Client writes status.review of a grant, which only
// people do. It replaces Faults.SubResourcePatch.
func (e *Env) ForbidReview() {
	e.Faults.SubResourcePatch = func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
		data, err := patch.Data(o)
		if err != nil {
			return err
		}
		var sent struct {
			Status map[string]json.RawMessage `json:"status"`
		}
		if err := json.Unmarshal(data, &sent); err != nil {
			return err
		}
		if review, ok := sent.Status["review"]; ok {
			e.Errorf("the controller writes %s into status.review of %s", review, o.GetName())
		}
		return c.SubResource(sub).Patch(ctx, o, patch, options...)
	}
}
