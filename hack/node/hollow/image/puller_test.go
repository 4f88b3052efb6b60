// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestNodeWithoutMirrorForgetsTheOneBefore checks that a node that takes over the folder of another one asks the
// registries themselves again.
func TestNodeWithoutMirrorForgetsTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	for _, mirror := range []string{"http://127.0.0.1:1", ""} {
		p, err := NewPuller(t.Context(), dir, mirror, Credentials{})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = os.Stat(filepath.Join(dir, "certs.d", "_default", "hosts.toml"))
		if mirror == "" && !errors.Is(err, fs.ErrNotExist) || mirror != "" && err != nil {
			t.Errorf("with mirror %q the file of hosts: %v", mirror, err)
		}
	}
}
