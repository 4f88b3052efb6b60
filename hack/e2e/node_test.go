// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build node && linux

package e2e

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"runtime"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/pull-access/pull-access-operator/hack/cluster"
	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

const (
	// pauseImage is the sandbox's, on a registry that asks nobody.
	pauseImage = "registry.example.com/infra/pause:1"
	googleHost = location + "-docker.pkg.dev"
)

// TestRealNode has containerd and kubelet pull: the core of the cases of the hollow nodes, by the same functions.
func TestRealNode(t *testing.T) {
	l := newLab(t)
	l.image = sleeper(t)
	l.push(t, pauseImage)
	l.startReal(t, node{name: "real"})
	l.startReal(t, node{name: "anonymous", anonymous: true})

	t.Run("heals", func(t *testing.T) { tellsStory(t, l, "real-heals", "real") })
	for name, node := range map[string]string{"missing-manifest": "real", "anonymous-pull": "anonymous"} {
		t.Run(name, func(t *testing.T) {
			l.operator(t)
			tc := refusalCases[name]
			tc.node = node
			leavesAlone(t, l, "real-"+name, tc)
		})
	}
	for _, name := range []string{"4-intent-but-no-write", "5-write-without-an-answer", "8-restart-recorded-not-done"} {
		t.Run(name, func(t *testing.T) { survives(t, l, "real-"+name, "real", killCases[name]) })
	}
}

// startReal starts a real node with its instance.
func (l *lab) startReal(t *testing.T, n node) {
	t.Helper()
	metadata, providerID := l.machine(t, n)
	spec := cluster.NodeSpec{
		Name:        n.name,
		ProviderID:  providerID,
		Labels:      n.labels(),
		MetadataURL: metadata,
		RegistryURL: l.cloud.URL(),
		Registries:  []string{googleHost},
		PauseImage:  pauseImage,
	}
	if n.anonymous {
		spec.Anonymous, spec.MetadataURL = true, ""
	}
	started, err := shared.StartNode(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, started) })
}

// sleeper is an image of nothing but a program that sleeps.
func sleeper(t *testing.T) v1.Image {
	t.Helper()
	binaries, err := binary.Find(binary.Node)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(binaries["pause"])
	if err != nil {
		t.Fatal(err)
	}
	var files bytes.Buffer
	archive := tar.NewWriter(&files)
	if err := archive.WriteHeader(&tar.Header{Name: "pause", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	described, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{"/pause"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(described, layer)
	if err != nil {
		t.Fatal(err)
	}
	return image
}
