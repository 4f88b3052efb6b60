// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pause makes the one image that the tests of the real node run: for the sandbox of each pod and for its containers.
package pause

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

// Image is an image of nothing but the program that sleeps until it is told to end. The program is one of the node's and
// has to be built before.
func Image() (v1.Image, error) {
	binaries, err := binary.Find(binary.Node)
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(binaries["pause"])
	if err != nil {
		return nil, fmt.Errorf("read the sleeping program: %w", err)
	}
	content, err := layer(program)
	if err != nil {
		return nil, fmt.Errorf("pack the sleeping program: %w", err)
	}
	described, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{"/pause"}},
	})
	if err != nil {
		return nil, fmt.Errorf("describe the sleeping image: %w", err)
	}
	return mutate.AppendLayers(described, content)
}

// layer is a file system that holds the program as /pause.
func layer(program []byte) (v1.Layer, error) {
	var files bytes.Buffer
	archive := tar.NewWriter(&files)
	if err := archive.WriteHeader(&tar.Header{Name: "pause", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := archive.Write(program); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
}
