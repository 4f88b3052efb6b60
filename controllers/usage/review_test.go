// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
)

// TestTheReviewIsNeverWritten: a look records whether the grant is used, and leaves a
// person's review as it is.
func TestTheReviewIsNeverWritten(t *testing.T) {
	g := granted("g", services, nodes)
	g.Status.Review = &v1alpha1.Review{Decision: v1alpha1.ReviewApproved, User: "ann@example.com", Reason: "ticket 7"}
	want := g.Status.Review.DeepCopy()
	pod := controllertest.Pod("node-1", "web", image)
	e := newEnv(t, g, controllertest.Node("node-1", nodes), pod)
	e.ForbidReview()
	for _, found := range []string{"used", "unused"} {
		e.look()
		if got := finding(e.Grant("g")); got != found {
			t.Errorf("on record is %q, want %q", got, found)
		}
		if diff := cmp.Diff(want, e.Grant("g").Status.Review); diff != "" {
			t.Errorf("after a grant was %s, the review (-want +got):\n%s", found, diff)
		}
		if found == "used" {
			e.Delete(pod)
			e.Step(DefaultInterval)
		}
	}
}
