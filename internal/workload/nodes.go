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
)

const (
	// nodesKept bounds how many nodes are remembered.
	nodesKept = 8192
	// nodesFor is how long: a node that is made anew may keep its name.
	nodesFor = time.Minute
)

// Nodes reads the nodes of failing pods, each once in a while, however many pods
// fail on it. Safe for concurrent use.
type Nodes struct {
	live  client.Reader
	known *cache.LRUExpireCache
}

// NewNodes reads through live, which should not be a cache: only the nodes of
// failing pods are of interest.
func NewNodes(live client.Reader) *Nodes {
	return &Nodes{live: live, known: cache.NewLRUExpireCache(nodesKept)}
}

// ProviderID is the node's spec.providerID, "" when there is no such node or it
// names none.
func (n *Nodes) ProviderID(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	if known, ok := n.known.Get(name); ok {
		if id, ok := known.(string); ok {
			return id, nil
		}
	}
	var node corev1.Node
	err := n.live.Get(ctx, client.ObjectKey{Name: name}, &node)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read node %s: %w", name, err)
	}
	n.known.Add(name, node.Spec.ProviderID, nodesFor)
	return node.Spec.ProviderID, nil
}
