// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"
)

// newRepository makes a repository of nothing but pins, and goes into it.
func newRepository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                         "module github.com/pull-access/pull-access-operator\n",
		"hack/cluster/kubernetes/go.mod": "module k\n\nrequire (\n\tk8s.io/kubernetes v1.37.2\n)\n",
		"hack/cluster/kubernetes/go.sum": "",
		"hack/node/go.mod":               "module n\n\nrequire github.com/containerd/containerd/v2 v2.4.2\n",
		"hack/node/go.sum":               "",
		"hack/node/hollow/main.go":       "package main\n",
		"internal/pullsecret/lookup.go":  "package pullsecret\n",
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

func TestProgressCountsPackages(t *testing.T) {
	clk := testclock.NewFakePassiveClock(time.Unix(0, 0))
	var out, rest bytes.Buffer
	p := &progress{out: &out, clock: clk, begin: clk.Now(), left: map[string]bool{}}
	for i := range 20 {
		p.left[fmt.Sprintf("example.com/p%d", i)] = true
	}
	p.start([]string{"kubelet"})
	clk.SetTime(time.Unix(30, 0))
	_, _ = io.WriteString(p.filter(&rest), "example.com/p0\nexample.com/p1\n# example.com/p2\np2.go:1: undefined: x\nexample.com/p1\n")
	if !strings.Contains(out.String(), "Building kubelet: 20 packages") || !strings.Contains(out.String(), "2 of 20 packages in 30s, about 4m30s left") {
		t.Errorf("progress reads %q", out.String())
	}
	if want := "# example.com/p2\np2.go:1: undefined: x\nexample.com/p1\n"; rest.String() != want {
		t.Errorf("the rest of the output is %q, want %q: the errors of a failed build", rest.String(), want)
	}
}

// TestMakefileUsesTheSameFlags fails if the Makefile and this package build with other flags: Go would then compile each
// package that they share twice.
func TestMakefileUsesTheSameFlags(t *testing.T) {
	makefile, err := os.ReadFile("../../../Makefile")
	if err != nil {
		t.Fatalf("read Makefile: %v", err)
	}
	var quoted []string
	for _, flag := range Flags {
		if name, value, ok := strings.Cut(flag, "="); ok {
			flag = name + "='" + value + "'"
		}
		quoted = append(quoted, flag)
	}
	if want := "\nFLAGS          = " + strings.Join(quoted, " ") + "\n"; !strings.Contains(string(makefile), want) {
		t.Errorf("the Makefile has no line %q", want)
	}
}

func TestExecutable(t *testing.T) {
	for pkg, want := range map[string]string{"go.etcd.io/etcd/server/v3": "server", "k8s.io/kubernetes/cmd/kubelet": "kubelet", "./hollow": "hollow"} {
		if got := executable(pkg); got != want {
			t.Errorf("executable(%q) = %q, want %q", pkg, got, want)
		}
	}
}

// TestSharedModulesHaveOneVersion keeps the cold build short: Go recompiles a package if one of its dependencies has
// a different version in another module.
func TestSharedModulesHaveOneVersion(t *testing.T) {
	root, err := RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	operator := versionsIn(t, filepath.Join(root, "go.mod"))
	for _, folder := range []string{kubernetes.folder, ours.folder} {
		versions := versionsIn(t, filepath.Join(root, folder, "go.mod"))
		shared := 0
		for module, want := range operator {
			got, ok := versions[module]
			if !ok || module == "github.com/sirupsen/logrus" { // Only the operator's tests use it.
				continue
			}
			shared++
			if got != want {
				t.Errorf("%s has %s %s, the operator has %s", folder, module, got, want)
			}
		}
		if shared < 20 {
			t.Errorf("%s shares %d modules with the operator: this test sees too few", folder, shared)
		}
	}
}

// versionsIn returns the version of each module that a go.mod file requires, after its replacements.
func versionsIn(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := modfile.Parse(file, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	versions := make(map[string]string)
	for _, r := range parsed.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	for _, r := range parsed.Replace {
		if _, required := versions[r.Old.Path]; required && r.New.Version != "" {
			versions[r.Old.Path] = r.New.Version
		}
	}
	return versions
}

func TestKeyFollowsThePins(t *testing.T) {
	root := newRepository(t)
	k8s, programs, node := keyOf(t, kubernetes, root), keyOf(t, containerd, root), keyOf(t, ours, root)
	if !strings.HasPrefix(k8s, "kubernetes-v1.37.2-") || !strings.HasPrefix(programs, "containerd-v2.4.2-") {
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
	node = keyOf(t, ours, root)
	write(t, filepath.Join(root, "internal/pullsecret/lookup.go"), "package pullsecret // changed\n")
	if keyOf(t, ours, root) == node {
		t.Error("a changed package of the product left the key of our programs alone")
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
	flags := kubernetesVersionFlags("v1.37.2")
	for _, want := range []string{"-X k8s.io/component-base/version.gitVersion=v1.37.2", "-X k8s.io/client-go/pkg/version.gitMinor=37"} {
		if !strings.Contains(flags, want) {
			t.Errorf("%q lacks %q", flags, want)
		}
	}
}
