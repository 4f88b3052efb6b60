// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Writer is PatchStatus or ConfirmStatus.
type Writer = func(ctx context.Context, c client.Client, before, after client.Object) error

// PatchStatus writes what differs between two states of one object's status, and
// sends nothing where nothing differs. The lock on the version that was read
// keeps a list from being replaced by an older one. The answer goes into after.
func PatchStatus(ctx context.Context, c client.Client, before, after client.Object) error {
	difference, err := client.MergeFrom(before).Data(after)
	if err != nil {
		return fmt.Errorf("compare status of %s: %w", after.GetName(), err)
	}
	if string(difference) == "{}" {
		return nil
	}
	return ConfirmStatus(ctx, c, before, after)
}

// ConfirmStatus is PatchStatus for what has to be on record before the next line: it
// asks also where nothing differs. A cache that is behind may hold what was taken
// back since, and would have us believe that it is there.
func ConfirmStatus(ctx context.Context, c client.Client, before, after client.Object) error {
	locked := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Status().Patch(ctx, after, locked); err != nil {
		return fmt.Errorf("record on %s: %w", after.GetName(), err)
	}
	return nil
}
