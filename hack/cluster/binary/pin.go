// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// pin is a module of this repository that fixes the versions of programs.
type pin struct {
	name   string
	folder string
	// main is the module whose version the programs carry.
	main string
	// sources are the folders of this repository that the programs use. Their files are part of the key.
	sources []string
	// ldflags returns what the linker is to set for a version.
	ldflags func(version string) string
}

// key names the folder that holds what was built from the pin as it now is.
func (p *pin) key(root string) (string, error) {
	version, err := p.version(root)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, p.folder, name))
		if err != nil {
			return "", fmt.Errorf("read the pins of %s: %w", p.name, err)
		}
		fmt.Fprintf(hash, "%s %d\n", name, len(data))
		hash.Write(data)
	}
	for _, folder := range p.sources {
		sum, err := sourceSum(filepath.Join(root, folder))
		if err != nil {
			return "", err
		}
		hash.Write(sum)
	}
	return fmt.Sprintf("%s-%s-%s", p.name, version, hex.EncodeToString(hash.Sum(nil))[:12]), nil
}

// version reads the version of the pin's main module out of its go.mod.
func (p *pin) version(root string) (string, error) {
	data, err := os.ReadFile(filepath.Join(root, p.folder, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read the pins of %s: %w", p.name, err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && fields[0] == p.main && strings.HasPrefix(fields[1], "v") {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("read the pins of %s: %s requires no %s", p.name, p.folder, p.main)
}

// sourceSum returns a hash of the non-test Go files below a folder.
func sourceSum(folder string) ([]byte, error) {
	hash := sha256.New()
	files := os.DirFS(folder)
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "%s %d\n", path, len(data))
		hash.Write(data)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the source in %s: %w", folder, err)
	}
	return hash.Sum(nil), nil
}

// kubernetesVersionFlags has Kubernetes' programs name their release, as its own build does.
func kubernetesVersionFlags(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) != 3 {
		return ""
	}
	values := []struct{ name, value string }{
		{"gitVersion", version}, {"gitMajor", parts[0]}, {"gitMinor", parts[1]}, {"gitTreeState", "clean"},
	}
	var flags []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, v := range values {
			flags = append(flags, fmt.Sprintf("-X %s.%s=%s", pkg, v.name, v.value))
		}
	}
	return strings.Join(flags, " ")
}
