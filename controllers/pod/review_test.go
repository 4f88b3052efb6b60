// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

// TestTheReviewIsNeverWritten: a pod that fails leaves a person's review of the grant as it is.
func TestTheReviewIsNeverWritten(t *testing.T) {
	review := func(decision v1alpha1.ReviewDecision) *v1alpha1.Review {
		return &v1alpha1.Review{Decision: decision, User: "ann@example.com", Reason: "ticket 7"}
	}
	for name, tc := range map[string]struct {
		edit   func(*v1alpha1.PullAccessGrant)
		writes int
		why    string
	}{
		"approved, another workload joins": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start)
				g.Status.Review = review(v1alpha1.ReviewApproved)
			},
			writes: 1, why: "the workload is put on record",
		},
		"denied": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Propose(g, policyOf(), start)
				g.Status.Review = review(v1alpha1.ReviewDenied)
				grantstatus.End(g, v1alpha1.EndDenied, start)
			},
			why: "a denial stands",
		},
		"revoked, and still in force": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start)
				g.Status.Review = review(v1alpha1.ReviewRevoked)
			},
			why: "the grant is about to end",
		},
		"revoked, and ended": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start)
				g.Status.Review = review(v1alpha1.ReviewRevoked)
				grantstatus.End(g, v1alpha1.EndRevoked, start)
			},
			why: "a revocation stands",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.grant = grantOf("prod", deploymentNamed("api"))
			tc.edit(e.grant)
			want := e.grant.Status.Review.DeepCopy()
			r := e.build()
			e.ForbidReview()
			for range 2 {
				if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, e.Grants()[0].Status.Review); diff != "" {
				t.Errorf("the review (-want +got):\n%s", diff)
			}
			if n := e.Writes()["patch status"]; n != tc.writes {
				t.Errorf("%d writes of the grant, want %d: %s", n, tc.writes, tc.why)
			}
		})
	}
}
