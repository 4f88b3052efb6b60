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
// node's pool, and byPool is true. What else is known of a puller is left to the
// caller.
//
// Who owns a node can forge what leads to the account: its kubelet makes the Node
// object, so it chooses the provider ID, and it may change the node pool's label
// at any time, as NodeRestriction does not protect that one. What it gains is
// bounded: the account is one that our project or cluster runs nodes as, it is
// granted nothing unless a policy lists it, and then only to read a repository
// that the policy lists as well. The forger does not become that account. That
// Cached has one node of a group answer for the others gives it nothing more.
func (c *Client) NodeAccount(ctx context.Context, node diagnosis.Node) (puller diagnosis.Puller, byPool bool) {
	if node.Obstacle != (diagnosis.Obstacle{}) {
		return diagnosis.Puller{Obstacle: node.Obstacle}, false
	}
	at, detail := c.locate(node.ProviderID)
	if detail != "" {
		return diagnosis.Puller{Obstacle: unreadable(detail)}, false
	}
	puller, askOn := c.fromInstance(ctx, at)
	if !askOn || c.cluster == (diagnosis.Cluster{}) {
		return puller, false
	}
	account, obstacle := c.fromPool(ctx, node)
	if obstacle != (diagnosis.Obstacle{}) {
		puller.Obstacle = both(puller.Obstacle, obstacle)
		return puller, false
	}
	puller.Obstacle = diagnosis.Obstacle{}
	return withAccount(puller, account.email, account.scopes), true
}

// locate finds the node's instance by its provider ID; it is nil if the node has
// none. A detail says why the node is none of ours, so that nobody is asked as
// whom it pulls.
func (c *Client) locate(providerID string) (at *instance, detail string) {
	if providerID == "" {
		return nil, ""
	}
	at, ok := parseInstance(providerID)
	switch {
	case !ok:
		return nil, fmt.Sprintf("the node's provider ID %q names no Compute Engine instance", clean(providerID))
	case c.cluster != (diagnosis.Cluster{}) && at.project != c.cluster.Project:
		return nil, fmt.Sprintf("the node's provider ID names project %s, but the nodes of cluster %s are of project %s",
			clean(at.project), c.cluster.Name, c.cluster.Project)
	default:
		return at, ""
	}
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
