// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

// HollowNode describes a node that needs no privileges: it really pulls images, but only says that containers run.
type HollowNode struct {
	// Name is the node's name, ProviderID its spec.providerID as gce://PROJECT/ZONE/INSTANCE.
	Name, ProviderID string
	Labels           map[string]string
	// MetadataURL is the metadata server that gives the token of the node's service account.
	MetadataURL string
	// RegistryURL stands in for every registry host; empty means the registries themselves.
	RegistryURL string
	// Anonymous has the node send no credential to any registry.
	Anonymous bool
	// BackoffBase is the first back-off after a failed pull; zero means kubelet's ten seconds.
	BackoffBase time.Duration
	// Env is added to the node's environment, for example a proxy for registries.
	Env []string
}

// StartHollowNode starts a hollow node and returns when its Node is ready to take pods. It ends with the cluster.
func (c *Cluster) StartHollowNode(ctx context.Context, node HollowNode) (*Node, error) {
	binaries, err := binary.Find(binary.Hollow)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := c.NodeKubeconfig(node.Name)
	if err != nil {
		return nil, err
	}
	args := []string{
		"--kubeconfig=" + kubeconfig, "--name=" + node.Name, "--provider-id=" + node.ProviderID,
		"--dir=" + c.path("node-"+node.Name), "--labels=" + labels.Set(node.Labels).String(), "--metadata-url=" + node.MetadataURL, "--registry=" + node.RegistryURL,
		fmt.Sprintf("--anonymous=%t", node.Anonymous),
	}
	if node.BackoffBase > 0 {
		args = append(args, "--backoff-base="+node.BackoffBase.String())
	}
	p, err := c.spawn(Command{
		Name: "hollow-" + node.Name, Path: binaries["hollow"], Args: args, Env: slices.Concat(os.Environ(), node.Env),
	})
	if err != nil {
		return nil, err
	}
	started := &Node{Name: node.Name, process: p}
	if err := c.waitForNode(ctx, started); err != nil {
		started.Stop()
		return nil, fmt.Errorf("start node %s: %w", node.Name, err)
	}
	return started, nil
}
