// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build node && linux

package cluster

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

	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

// pauseImage is an image of nothing but the sleeping program.
func pauseImage(t *testing.T) v1.Image {
	t.Helper()
	binaries, err := binary.Find(binary.Node)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(binaries["pause"])
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	if err := archive.WriteHeader(&tar.Header{Name: "pause", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, content)
	if err != nil {
		t.Fatal(err)
	}
	image, err = mutate.ConfigFile(image, withEntrypoint(t, image))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func withEntrypoint(t *testing.T, image v1.Image) *v1.ConfigFile {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = runtime.GOOS, runtime.GOARCH
	config.Config.Entrypoint = []string{"/pause"}
	return config
}
