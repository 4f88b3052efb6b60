// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/record"
)

// TestWritesBesideJoins: workloads that join a grant while its pass is under way are kept,
// and hold nothing up. Whatever else has changed since the grant was read stops the write:
// the pass has judged by what was there before.
func TestWritesBesideJoins(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.PullAccessGrant)
		passes bool
	}{
		"a workload joins": {func(g *v1alpha1.PullAccessGrant) {
			record.Join(g, v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "late"}, "prod", now)
		}, true},
		"a person denies": {func(g *v1alpha1.PullAccessGrant) { g.Status.Review = &v1alpha1.Review{Decision: v1alpha1.ReviewDenied} }, false},
		"it is asked for anew": {func(g *v1alpha1.PullAccessGrant) {
			record.Reopen(g, v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "late"}, "other", now)
		}, false},
		"it ends": {func(g *v1alpha1.PullAccessGrant) { record.End(g, v1alpha1.EndRevoked, now) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			asked := requested(nodes)
			asked.Finalizers = []string{v1alpha1.Finalizer}
			w := newWorld(t, newCloud(foreign), enforcing(), asked)
			todo, err := w.r.observe(t.Context(), repository)
			if err != nil || len(todo.add) != 1 {
				t.Fatalf("%d grants are to be added, %v", len(todo.add), err)
			}
			late := w.grant(nodes)
			tc.change(late)
			if err := w.client.Status().Update(t.Context(), late); err != nil {
				t.Fatal(err)
			}
			err = intents{w.r, todo}.Intend(t.Context(), iampolicy.Change{Added: []string{nodes}}, "etag")
			after := w.grant(nodes)
			kept := slices.ContainsFunc(after.Status.Workloads, func(w v1alpha1.WorkloadStatus) bool { return w.Name == "late" })
			switch {
			case tc.passes && (err != nil || !record.Interrupted(after) || !kept):
				t.Errorf("Intend: %v, and on record is %+v", err, after.Status)
			case !tc.passes && (!apierrors.IsConflict(err) || record.Interrupted(after)):
				t.Errorf("Intend: %v, and on record is %+v; want a conflict", err, after.Status)
			}
		})
	}
}
