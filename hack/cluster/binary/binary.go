// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package binary knows the programs that the local cluster consists of: which module pins each, where the built ones are
// kept, and how one is built. They come from their Go modules alone; nothing prebuilt is downloaded.
package binary

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Set names a group of programs that are built together.
type Set string

const (
	// ControlPlane is what a Kubernetes control plane needs, and kubectl.
	ControlPlane Set = "control-plane"
	// Hollow is ControlPlane and the node that needs no privileges.
	Hollow Set = "hollow"
	// Node is Hollow and the real node: Linux and root only.
	Node Set = "node"
)

// assetsVariable names a folder of kube-apiserver, etcd and kubectl that the user already has.
const assetsVariable = "KUBEBUILDER_ASSETS"

// binary is one program and how it is built.
type binary struct {
	name   string
	module *pin
	pkg    string
	tags   string
	// asset says that a user's KUBEBUILDER_ASSETS folder may hold it.
	asset bool
}

var (
	kubernetes = &pin{
		name:    "kubernetes",
		folder:  "hack/cluster/kubernetes",
		main:    "k8s.io/kubernetes",
		ldflags: kubernetesVersionFlags,
	}
	containerd = &pin{
		name:   "containerd",
		folder: "hack/node",
		main:   "github.com/containerd/containerd/v2",
	}
	// ours is the same module as containerd's, but its programs also change with our own source.
	ours = &pin{
		name:    "node",
		folder:  "hack/node",
		main:    "github.com/containerd/containerd/v2",
		sources: []string{"hack/node", "internal/pullsecret"},
	}
)

const containerdTags = "no_btrfs no_zfs no_devmapper"

var catalogue = map[Set][]binary{
	ControlPlane: {
		{name: "etcd", module: kubernetes, pkg: "go.etcd.io/etcd/server/v3", asset: true},
		{name: "kube-apiserver", module: kubernetes, pkg: "k8s.io/kubernetes/cmd/kube-apiserver", asset: true},
		{name: "kube-controller-manager", module: kubernetes, pkg: "k8s.io/kubernetes/cmd/kube-controller-manager"},
		{name: "kube-scheduler", module: kubernetes, pkg: "k8s.io/kubernetes/cmd/kube-scheduler"},
		{name: "kubectl", module: kubernetes, pkg: "k8s.io/kubernetes/cmd/kubectl", asset: true},
	},
	Hollow: {
		{name: "hollow", module: ours, pkg: "./hollow"},
	},
	Node: {
		{name: "kubelet", module: kubernetes, pkg: "k8s.io/kubernetes/cmd/kubelet"},
		{name: "containerd", module: containerd, pkg: "github.com/containerd/containerd/v2/cmd/containerd", tags: containerdTags},
		{name: "containerd-shim-runc-v2", module: containerd, pkg: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", tags: containerdTags},
		{name: "real", module: ours, pkg: "./real"},
		{name: "credentialprovider", module: ours, pkg: "./credentialprovider"},
		{name: "pause", module: ours, pkg: "./pause"},
	},
}

// members returns the programs of a set, those of the smaller sets first.
func members(set Set) ([]binary, error) {
	var all []binary
	for _, s := range []Set{ControlPlane, Hollow, Node} {
		all = append(all, catalogue[s]...)
		if s == set {
			return all, nil
		}
	}
	return nil, fmt.Errorf("unknown set %q: it is one of %s, %s, %s", set, ControlPlane, Hollow, Node)
}

// Find returns the path of every program of the set, by name. The repository is found from the working directory.
// A program that is not there is an error that says how to build it.
func Find(set Set) (map[string]string, error) {
	root, err := RepositoryRoot()
	if err != nil {
		return nil, err
	}
	all, err := members(set)
	if err != nil {
		return nil, err
	}
	paths := make(map[string]string, len(all))
	for _, b := range all {
		path, err := b.path(root)
		if err != nil {
			return nil, err
		}
		if !isFile(path) {
			return nil, fmt.Errorf("the cluster's program %s is not built yet: run `make %s` once", b.name, target(set))
		}
		paths[b.name] = path
	}
	return paths, nil
}

// target is what make builds the set by.
func target(set Set) string {
	if set == Node {
		return "node-binaries"
	}
	return "cluster-binaries"
}

// path says where the program is, or will be once it is built.
func (b binary) path(root string) (string, error) {
	if assets := os.Getenv(assetsVariable); b.asset && assets != "" {
		path := filepath.Join(assets, b.name)
		if !isFile(path) {
			return "", fmt.Errorf("%s is set to %s, which holds no %s", assetsVariable, assets, b.name)
		}
		return path, nil
	}
	key, err := b.module.key(root)
	if err != nil {
		return "", err
	}
	return filepath.Join(root, ".cache", "cluster", key, b.name), nil
}

// RepositoryRoot returns the folder of this project, which is the working directory or one above it.
func RepositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(data), "module github.com/pull-access/pull-access-operator\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the repository: no go.mod of pull-access-operator in the working directory or above it")
		}
		dir = parent
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
