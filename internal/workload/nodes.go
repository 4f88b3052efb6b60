// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

const (
	// nodesKept bounds how many nodes are remembered.
	nodesKept = 8192
	// nodesFor is how long: a node that is made anew may keep its name.
	nodesFor = time.Minute
	// maxProviderID limits the cached provider ID, which the node writes itself. Google's
	// have fewer than 200 bytes.
	maxProviderID = 512
)

// poolLabel names the node pool of a GKE node.
const poolLabel = "cloud.google.com/gke-nodepool"

// Nodes reads the nodes of pods that matter, each once in a while, however many of
// them it has. Safe for concurrent use.
type Nodes struct {
	live  client.Reader
	known *cache.LRUExpireCache
}

// NewNodes reads through live, which should not be a cache: only the nodes of
// some pods are of interest.
func NewNodes(live client.Reader) *Nodes {
	return &Nodes{live: live, known: cache.NewLRUExpireCache(nodesKept)}
}

// Named is the node of that name. What the cluster does not have, or does not
// show, is no error: the node then says so.
func (n *Nodes) Named(ctx context.Context, name string) (diagnosis.Node, error) {
	if name == "" {
		return without(name, "the pod has no node yet"), nil
	}
	if known, ok := n.known.Get(name); ok {
		if node, ok := known.(diagnosis.Node); ok {
			return node, nil
		}
	}
	var found corev1.Node
	err := n.live.Get(ctx, client.ObjectKey{Name: name}, &found)
	switch {
	case apierrors.IsNotFound(err):
		return without(name, "node "+name+" is not there"), nil
	case apierrors.IsForbidden(err):
		return without(name, "node "+name+" may not be read"), nil
	case err != nil:
		return diagnosis.Node{}, fmt.Errorf("read node %s: %w", name, err)
	}
	if len(found.Spec.ProviderID) > maxProviderID {
		return without(name, "the provider ID of node "+name+" is too long"), nil
	}
	node := diagnosis.Node{Name: name, ProviderID: found.Spec.ProviderID, Pool: found.Labels[poolLabel]}
	n.known.Add(name, node, nodesFor)
	return node, nil
}

// Pullers tells which account a node pulls as.
type Pullers interface {
	// NodeAccount reads the service account that a node pulls as.
	NodeAccount(ctx context.Context, node diagnosis.Node) diagnosis.Puller
}

// Puller is as whom the node of that name pulls. What the cluster does not show of
// the node leaves it unknown, and nobody is asked.
func (n *Nodes) Puller(ctx context.Context, pullers Pullers, name string) (diagnosis.Puller, error) {
	node, err := n.Named(ctx, name)
	if err != nil {
		return diagnosis.Puller{}, err
	}
	if node.Obstacle.Kind != diagnosis.NotRead {
		return diagnosis.Puller{Obstacle: node.Obstacle}, nil
	}
	return pullers.NodeAccount(ctx, node), nil
}

func without(name, detail string) diagnosis.Node {
	return diagnosis.Node{Name: name, Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: detail}}
}
