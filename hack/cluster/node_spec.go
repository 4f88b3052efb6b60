// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NodeSpec says what a real node is to be.
type NodeSpec struct {
	// Name is the node's name, and ProviderID its spec.providerID: gce://PROJECT/ZONE/INSTANCE.
	Name       string
	ProviderID string
	// Labels are put on the node as it registers.
	Labels map[string]string
	// MetadataURL is the metadata server of this node: it gives the token of the account that the node pulls as.
	MetadataURL string
	// RegistryURL is the registry, on loopback, that stands in for every registry.
	RegistryURL string
	// Registries are hosts to name in containerd's configuration; those not named reach the same registry.
	Registries []string
	// Anonymous starts kubelet without a credential provider.
	Anonymous bool
	// PauseImage is the sandbox image. It is pulled without a credential.
	PauseImage string
}

// Node is a running node.
type Node struct {
	// Name is the node's name.
	Name    string
	process *Process
}

// Stop ends the node with all that runs on it. A second call does nothing.
func (n *Node) Stop() {
	n.process.Stop()
}

func (c *Cluster) waitForNode(ctx context.Context, node *Node) error {
	return node.process.waitFor(ctx, "node "+node.Name+" to be Ready", func(ctx context.Context) error {
		got, err := c.client.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range got.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("node %s is not Ready", node.Name)
	})
}
