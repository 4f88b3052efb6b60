// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

const (
	// installHint is said where a program is missing that no Go module holds.
	installHint = "run hack/node/install.sh once, as root"
	// pluginFolder is where Debian keeps the network plugins; other systems use the one after it.
	pluginFolder      = "/usr/lib/cni"
	otherPluginFolder = "/opt/cni/bin"
	// nodeGrace is how long a node may take to end its containers and to remove what it made.
	nodeGrace = 30 * time.Second
)

// StartNode starts a real node, containerd, runc and kubelet, and returns when it is Ready. It needs Linux and root, and
// keeps out of the way of a container runtime that the machine runs already. Several nodes may run at once.
//
// The node ends with Stop, with the cluster, and with the program that started it; no process, mount, network or file of it
// is left then. Only if its supervisor itself is killed, the next node started on the machine removes the last of it.
func (c *Cluster) StartNode(ctx context.Context, spec NodeSpec) (*Node, error) {
	if errs := validation.IsDNS1123Subdomain(spec.Name); len(errs) > 0 {
		return nil, fmt.Errorf("start node %q: its name is none: %s", spec.Name, errs[0])
	}
	binaries, err := nodeBinaries()
	if err != nil {
		return nil, fmt.Errorf("start node %s: %w", spec.Name, err)
	}
	kubeconfig, err := c.NodeKubeconfig(spec.Name)
	if err != nil {
		return nil, fmt.Errorf("start node %s: %w", spec.Name, err)
	}
	process, err := c.spawn(Command{
		Name:  "node-" + spec.Name,
		Path:  binaries["real"],
		Args:  c.nodeArguments(spec, binaries, kubeconfig),
		Grace: nodeGrace,
	})
	if err != nil {
		return nil, err
	}
	node := &Node{Name: spec.Name, process: process}
	if err := c.waitForNode(ctx, node); err != nil {
		node.Stop()
		return nil, fmt.Errorf("start node %s: %w", spec.Name, err)
	}
	return node, nil
}

// nodeBinaries finds the node's programs, those that are built and those that the machine must have.
func nodeBinaries() (map[string]string, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("a real node needs root")
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return nil, fmt.Errorf("runc is not on the PATH: %s", installHint)
	}
	if !slices.ContainsFunc([]string{pluginFolder, otherPluginFolder}, hasBridgePlugin) {
		return nil, fmt.Errorf("neither %s nor %s holds the network plugins: %s", pluginFolder, otherPluginFolder, installHint)
	}
	return binary.Find(binary.Node)
}

func hasBridgePlugin(folder string) bool {
	_, err := exec.LookPath(filepath.Join(folder, "bridge"))
	return err == nil
}

// nodeArguments are the flags of the node's supervisor.
func (c *Cluster) nodeArguments(spec NodeSpec, binaries map[string]string, kubeconfig string) []string {
	var folders []string
	for _, name := range []string{"kubelet", "containerd", "containerd-shim-runc-v2", "credentialprovider"} {
		folders = append(folders, filepath.Dir(binaries[name]))
	}
	slices.Sort(folders)
	return []string{
		"--name=" + spec.Name,
		"--provider-id=" + spec.ProviderID,
		"--labels=" + labels.Set(spec.Labels).String(),
		"--kubeconfig=" + kubeconfig,
		"--client-ca=" + c.path("pki", "ca.crt"),
		"--metadata-url=" + spec.MetadataURL,
		"--registry=" + spec.RegistryURL,
		"--registries=" + strings.Join(spec.Registries, ","),
		fmt.Sprintf("--anonymous=%t", spec.Anonymous),
		"--pause-image=" + spec.PauseImage,
		"--dir=" + c.path("node-"+spec.Name),
		"--log-prefix=" + c.path("logs", "node-"+spec.Name+"-"),
		"--bin=" + strings.Join(slices.Compact(folders), ":"),
	}
}
