// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// TestTheReviewIsNeverWritten: all that follows a review of the grant leaves it as it was written.
func TestTheReviewIsNeverWritten(t *testing.T) {
	proposed := func() *v1alpha1.PullAccessGrant {
		g := requested(nodes)
		grantstatus.Propose(g, asking(), now)
		return g
	}
	expiring := granted(nodes, v1alpha1.OriginAdded)
	expiring.Status.Lifetime.ExpireTime = &metav1.Time{Time: now.Add(-time.Hour)}
	for name, tc := range map[string]struct {
		g        *v1alpha1.PullAccessGrant
		policy   *v1alpha1.PullAccessPolicy
		decision v1alpha1.ReviewDecision
		err      error
		want     string
	}{
		"approved":              {g: proposed(), policy: asking(), decision: v1alpha1.ReviewApproved, want: "True AccessGranted"},
		"approved, forbidden":   {g: proposed(), policy: asking(), decision: v1alpha1.ReviewApproved, err: iampolicy.ErrForbidden, want: "False CloudForbidden"},
		"denied":                {g: proposed(), policy: asking(), decision: v1alpha1.ReviewDenied, want: "False Denied"},
		"policy changed":        {g: proposed(), policy: enforcing(), decision: v1alpha1.ReviewApproved, want: "False PolicyChanged"},
		"revoked":               {g: granted(nodes, v1alpha1.OriginAdded), policy: enforcing(), decision: v1alpha1.ReviewRevoked, want: "False Revoked"},
		"revoked when begun":    {g: intended(nodes), policy: enforcing(), decision: v1alpha1.ReviewRevoked, want: "False Revoked"},
		"approved, expired":     {g: expiring, policy: enforcing(), decision: v1alpha1.ReviewApproved, want: "False Expired"},
		"approved, interrupted": {g: intended(nodes), policy: enforcing(), decision: v1alpha1.ReviewApproved, want: "True AccessGranted"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign, nodes), tc.policy, tc.g)
			if !grantstatus.Granted(tc.g) {
				e.Cloud.SetReaders(repository.Name, foreign)
			}
			e.answer(nodes, tc.decision)
			review := e.grant(nodes).Status.Review
			e.ForbidReview()
			e.nextEdits(tc.err, tc.err, tc.err, tc.err)
			for range 4 { // An end is announced for its grace period first.
				e.mustPass()
				if got := e.grant(nodes).Status.Review; !equality.Semantic.DeepEqual(got, review) {
					t.Fatalf("the review is %+v, and a person wrote %+v", got, review)
				}
				e.at(e.Clock.Now().Add(v1alpha1.DefaultGracePeriod / 2))
			}
			e.wantCondition(nodes, v1alpha1.ConditionGranted, tc.want)
		})
	}
}
