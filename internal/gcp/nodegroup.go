// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// groupMember is the name of an instance that GKE made, gke-CLUSTER-POOL-HASH-SUFFIX,
// or gk3-… where it also made the pool. Instances of one group, which have one
// template, differ in the suffix alone.
var groupMember = regexp.MustCompile(`^(gk[e3]-[a-z0-9-]+-[0-9a-f]{8})-[a-z0-9]{4}$`)

// nodeGroup is the part of a node pool that was made from one instance template.
type nodeGroup struct {
	project, zone, pool string
	// name is that of its instances without the suffix.
	name string
}

// groupOf finds the node's group. One that names no instance, or no pool, or is
// not called as GKE calls its nodes, has none.
func groupOf(node diagnosis.Node) (group nodeGroup, at *instance, ok bool) {
	at, ok = parseInstance(node.ProviderID)
	if !ok || node.Pool == "" || node.Obstacle != (diagnosis.Obstacle{}) {
		return nodeGroup{}, nil, false
	}
	parts := groupMember.FindStringSubmatch(at.name)
	if parts == nil {
		return nodeGroup{}, nil, false
	}
	return nodeGroup{project: at.project, zone: at.zone, pool: node.Pool, name: parts[1]}, at, true
}

// groupAccount is what Compute Engine told of one instance of a group.
type groupAccount struct {
	nodeAccount
	// asked is the node that was asked for.
	asked diagnosis.Node
}

// shared reports whether the cache keeps the answer for the whole group. A missing
// instance, a missing account or an unknown one says nothing about other instances. A
// transient error is shared only with simultaneous reads.
func (a groupAccount) shared() bool { return a.puller.State == diagnosis.Present && !a.byPool }

// groupTTL keeps what is shared.
func groupTTL(a groupAccount) time.Duration {
	if a.shared() {
		return poolAccountTTL
	}
	return 0
}

// account asks for the node's account, or has it from another node of its group.
//
// A node may forge its provider ID, so it can be served the account of a group that
// it does not belong to. It could also name an instance of that group, and gains no
// more. It takes nothing from its neighbours: a made-up instance is not found, and
// what is kept of a group is what Compute Engine told of an instance of that name.
func (c *Cached) account(ctx context.Context, node diagnosis.Node) nodeAccount {
	ask := func(ctx context.Context) groupAccount {
		puller, byPool := c.cloud.NodeAccount(ctx, node)
		return groupAccount{nodeAccount: nodeAccount{puller: puller, byPool: byPool}, asked: node}
	}
	group, at, ok := groupOf(node)
	if !ok {
		return ask(ctx).nodeAccount
	}
	found := c.groups.get(ctx, group, ask)
	if found.asked == node {
		return found.nodeAccount
	}
	if !found.shared() && found.puller.Obstacle.Kind != diagnosis.Unavailable {
		own := ask(ctx)
		if own.shared() {
			c.groups.put(group, own)
		}
		return own.nodeAccount
	}
	puller := found.puller
	puller.Instance = at.fullName()
	puller.Scopes = slices.Clone(puller.Scopes)
	return nodeAccount{puller: puller, byGroup: true}
}
