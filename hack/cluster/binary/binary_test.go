// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/utils/clock"
)

// newRepository makes a repository of nothing but pins, and goes into it.
func newRepository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                         "module github.com/pull-access/pull-access-operator\n",
		"hack/cluster/kubernetes/go.mod": "module k\n\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n",
		"hack/cluster/kubernetes/go.sum": "",
		"hack/node/go.mod":               "module n\n\nrequire github.com/containerd/containerd/v2 v2.4.2\n",
		"hack/node/go.sum":               "",
		"hack/node/hollow/main.go":       "package main\n",
	} {
		write(t, filepath.Join(root, name), text)
	}
	t.Chdir(root)
	t.Setenv(assetsVariable, "")
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func keyOf(t *testing.T, p *pin, root string) string {
	t.Helper()
	key, err := p.key(root)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestFindSaysHowToBuild(t *testing.T) {
	newRepository(t)
	_, err := Find(ControlPlane)
	if err == nil || !strings.Contains(err.Error(), "run `make cluster-binaries` once") {
		t.Errorf("got %v, want it to name the make target", err)
	}
	if _, err := Find("everything"); err == nil || !strings.Contains(err.Error(), `unknown set "everything"`) {
		t.Errorf("got %v, want an unknown set", err)
	}
	t.Chdir(t.TempDir())
	if _, err := Find(ControlPlane); err == nil {
		t.Error("found programs outside the repository")
	}
}

func TestBuildLeavesAloneWhatIsThere(t *testing.T) {
	root := newRepository(t)
	all, err := members(ControlPlane)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		path, err := b.path(root)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, "built before")
	}
	var progress bytes.Buffer
	if err := Build(t.Context(), ControlPlane, &progress, clock.RealClock{}); err != nil || progress.Len() > 0 {
		t.Errorf("built %q, %v; want nothing done", progress.String(), err)
	}
	found, err := Find(ControlPlane)
	if err != nil || len(found) != len(all) || filepath.Base(found["etcd"]) != "etcd" {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestKeyFollowsThePins(t *testing.T) {
	root := newRepository(t)
	k8s, programs, node := keyOf(t, kubernetes, root), keyOf(t, containerd, root), keyOf(t, ours, root)
	if !strings.HasPrefix(k8s, "kubernetes-v1.36.3-") || !strings.HasPrefix(programs, "containerd-v2.4.2-") {
		t.Errorf("keys %s and %s do not name their release", k8s, programs)
	}
	write(t, filepath.Join(root, "hack/node/hollow/main_test.go"), "package main\n")
	if keyOf(t, ours, root) != node {
		t.Error("a test changed the key of our programs")
	}
	write(t, filepath.Join(root, "hack/node/hollow/main.go"), "package main // changed\n")
	if keyOf(t, ours, root) == node {
		t.Error("changed source left the key of our programs alone")
	}
	if keyOf(t, containerd, root) != programs {
		t.Error("our source changed the key of containerd")
	}
	write(t, filepath.Join(root, "hack/cluster/kubernetes/go.sum"), "another hash\n")
	if keyOf(t, kubernetes, root) == k8s {
		t.Error("a changed hash left the key of Kubernetes alone")
	}
}

func TestAssetsOfTheUser(t *testing.T) {
	root := newRepository(t)
	assets := t.TempDir()
	t.Setenv(assetsVariable, assets)
	etcd, scheduler := binary{name: "etcd", module: kubernetes, asset: true}, binary{name: "kube-scheduler", module: kubernetes}
	if _, err := etcd.path(root); err == nil || !strings.Contains(err.Error(), "holds no etcd") {
		t.Errorf("got %v, want it to say that the folder holds no etcd", err)
	}
	write(t, filepath.Join(assets, "etcd"), "the user's")
	if path, err := etcd.path(root); err != nil || path != filepath.Join(assets, "etcd") {
		t.Errorf("etcd is %s, %v; want the user's own", path, err)
	}
	if path, err := scheduler.path(root); err != nil || strings.HasPrefix(path, assets) {
		t.Errorf("kube-scheduler is %s, %v; want it from the cache", path, err)
	}
}

func TestKubernetesVersionFlags(t *testing.T) {
	flags := kubernetesVersionFlags("v1.36.3")
	for _, want := range []string{"-X k8s.io/component-base/version.gitVersion=v1.36.3", "-X k8s.io/client-go/pkg/version.gitMinor=36"} {
		if !strings.Contains(flags, want) {
			t.Errorf("%q lacks %q", flags, want)
		}
	}
}
