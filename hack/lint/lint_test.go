// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build lint

// Package lint proves that the linter's rules refuse what they are there to refuse.
package lint

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlantedViolations runs the project's own configuration over a small module of the project's layout.
// A line that ends in "// want LINTER" must be refused by that linter, and no other line may be.
func TestPlantedViolations(t *testing.T) {
	// The rules name folders from the root, so the planted tree must be a root of its own.
	tree := t.TempDir()
	if err := os.CopyFS(tree, os.DirFS("testdata/planted")); err != nil {
		t.Fatalf("copy planted tree: %v", err)
	}
	config, err := os.ReadFile("../../.golangci.yaml")
	if err != nil {
		t.Fatalf("read configuration: %v", err)
	}
	if err := os.WriteFile(filepath.Join(tree, ".golangci.yaml"), config, 0o600); err != nil {
		t.Fatalf("write configuration: %v", err)
	}

	want := plantedIn(t, tree)
	if len(want) == 0 {
		t.Fatal("nothing is planted: the test would prove nothing")
	}
	if diff := cmp.Diff(want, refusedIn(t, tree)); diff != "" {
		t.Errorf("refusals differ (-planted +refused):\n%s", diff)
	}
}

// TestEveryPackageHasItsPlace fails for a package that no import rule names: nothing would hold its direction.
func TestEveryPackageHasItsPlace(t *testing.T) {
	config, err := os.ReadFile("../../.golangci.yaml")
	if err != nil {
		t.Fatalf("read configuration: %v", err)
	}
	packages, err := os.ReadDir("../../internal")
	if err != nil {
		t.Fatalf("read internal: %v", err)
	}
	if len(packages) == 0 {
		t.Fatal("internal is empty: the test would prove nothing")
	}
	for _, pkg := range packages {
		if rule := fmt.Sprintf("%q", "**/internal/"+pkg.Name()+"/**"); !strings.Contains(string(config), rule) {
			t.Errorf("no rule for %s: give it its place in the import order", rule)
		}
	}
}

// plantedIn lists "file:line linter" for each violation announced in the tree.
func plantedIn(t *testing.T, tree string) []string {
	t.Helper()
	var planted []string
	err := fs.WalkDir(os.DirFS(tree), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		file, err := os.Open(filepath.Join(tree, path))
		if err != nil {
			return err
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		for number := 1; lines.Scan(); number++ {
			_, linters, _ := strings.Cut(lines.Text(), "// want ")
			for _, linter := range strings.Fields(linters) {
				planted = append(planted, fmt.Sprintf("%s:%d %s", path, number, linter))
			}
		}
		return lines.Err()
	})
	if err != nil {
		t.Fatalf("read planted tree: %v", err)
	}
	slices.Sort(planted)
	return planted
}

// refusedIn lists "file:line linter" for each violation the linter reports.
func refusedIn(t *testing.T, tree string) []string {
	t.Helper()
	tools, err := filepath.Abs("../tools/golangci/go.mod")
	if err != nil {
		t.Fatalf("find tools: %v", err)
	}
	run := exec.CommandContext(t.Context(), "go", "tool", "-modfile="+tools, "golangci-lint", "run",
		"--allow-parallel-runners", "--issues-exit-code=0", "--show-stats=false", "--output.json.path=stdout", "./...")
	run.Dir = tree
	// Flags of the caller are for the caller's module, not for this tree.
	run.Env = append(os.Environ(), "GOFLAGS=")
	var stderr strings.Builder
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("run golangci-lint: %v\n%s%s", err, out, stderr.String())
	}
	var report struct {
		Issues []struct {
			FromLinter string
			Pos        struct {
				Filename string
				Line     int
			}
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("read report: %v\n%s", err, out)
	}
	var refused []string
	for _, issue := range report.Issues {
		refused = append(refused, fmt.Sprintf("%s:%d %s", filepath.ToSlash(issue.Pos.Filename), issue.Pos.Line, issue.FromLinter))
	}
	slices.Sort(refused)
	return refused
}
