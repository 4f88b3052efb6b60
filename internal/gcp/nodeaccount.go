// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"fmt"
	"strings"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// NodeAccount says as whom the node pulls: the service account of its instance,
// with the scopes that bound it. Compute Engine is asked first, as it tells of
// the very instance; where it refuses or knows none, the GKE API tells of the
// node's pool. What else is known of a puller is left to the caller.
func (c *Client) NodeAccount(ctx context.Context, node diagnosis.Node) diagnosis.Puller {
	if node.Obstacle != (diagnosis.Obstacle{}) {
		return diagnosis.Puller{Obstacle: node.Obstacle}
	}
	puller, askOn := c.fromInstance(ctx, node.ProviderID)
	if c.cluster == (diagnosis.Cluster{}) {
		return puller
	}
	if puller.Project != "" && puller.Project != c.cluster.Project {
		if askOn {
			puller.Obstacle = both(puller.Obstacle, unreadable(fmt.Sprintf(
				"cluster %s is not asked: the node is of project %s", c.cluster.Name, puller.Project)))
		}
		return puller
	}
	puller.Cluster = c.cluster
	if !askOn {
		return puller
	}
	account, obstacle := c.fromPool(ctx, node)
	if obstacle != (diagnosis.Obstacle{}) {
		puller.Obstacle = both(puller.Obstacle, obstacle)
		return puller
	}
	puller.Project, puller.Obstacle = c.cluster.Project, diagnosis.Obstacle{}
	return withAccount(puller, account.email, account.scopes)
}

// both joins the obstacles on the two ways to an account, the first suspect
// first. It is worth another try if one of them is.
func both(first, second diagnosis.Obstacle) diagnosis.Obstacle {
	joined := first
	if first.Kind == diagnosis.Unreadable || second.Kind == diagnosis.Unavailable {
		joined = second // The only way that can be opened, or the one that may open by itself.
	}
	joined.Detail = first.Detail + "; " + second.Detail
	return joined
}

// withAccount names the account that was found.
func withAccount(puller diagnosis.Puller, email string, scopes []string) diagnosis.Puller {
	lower := strings.ToLower(email)
	if !iampolicy.IsServiceAccountMember(v1alpha1.ServiceAccountMember(lower)) {
		puller.Obstacle = unreadable(fmt.Sprintf("the node runs as %q, which is no service account", clean(email)))
		return puller
	}
	puller.State, puller.Email, puller.Scopes = diagnosis.Present, lower, scopes
	return puller
}
