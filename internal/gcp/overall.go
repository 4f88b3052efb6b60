// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"strings"

	"google.golang.org/api/policytroubleshooter/v3"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// Overall asks Policy Troubleshooter whether member may pull, by the allow and
// deny policies of all levels. It is not asked unless the options say so. What
// it cannot tell for want of access is Unknown, never Missing.
func (c *Client) Overall(ctx context.Context, repo imageref.Repository, member string) diagnosis.Overall {
	email, account := strings.CutPrefix(member, "serviceAccount:")
	switch {
	case !c.troubleshoot:
		return diagnosis.Overall{Obstacle: diagnosis.Obstacle{Kind: diagnosis.NotRead}}
	case !account:
		return diagnosis.Overall{Obstacle: unknownMember}
	case !wellNamed(repo):
		return diagnosis.Overall{Obstacle: badRepository.obstacle("")}
	}
	var found *policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyResponse
	f := c.readCall(ctx, target{policyTroubleshooter, repo.Project}, func(ctx context.Context, s *apis) (err error) {
		found, err = s.troubleshooter.Troubleshoot(&policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyRequest{
			AccessTuple: &policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AccessTuple{
				Principal:        email,
				FullResourceName: "//artifactregistry.googleapis.com/" + repo.ResourceName(),
				Permission:       iampolicy.DownloadPermission,
			},
		}).Fields("overallAccessState", "denyPolicyExplanation(denyAccessState)").Context(ctx).Do()
		return err
	})
	if f != nil {
		return diagnosis.Overall{Obstacle: c.obstacle(ctx, f, repo.Project, "")}
	}
	deny := found.DenyPolicyExplanation
	switch found.OverallAccessState {
	case "CAN_ACCESS":
		return diagnosis.Overall{State: diagnosis.Present}
	case "CANNOT_ACCESS":
		return diagnosis.Overall{State: diagnosis.Missing, Denied: deny != nil && deny.DenyAccessState == "DENY_ACCESS_STATE_DENIED"}
	case "UNKNOWN_CONDITIONAL":
		return diagnosis.Overall{Obstacle: unreadable("Policy Troubleshooter cannot tell whether a condition holds")}
	default:
		return diagnosis.Overall{Obstacle: unreadable("Policy Troubleshooter sees not all policies")}
	}
}
