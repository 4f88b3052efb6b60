// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build lint

package lint

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	fuzzFunc = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)
	fuzzLine = regexp.MustCompile(`(?m)^\t\$\(GO\) test .*-fuzz '\^(Fuzz\w+)\$\$' .*\./(\S+)$`)
)

// TestEveryFuzzTestIsRun fails for a fuzz test that make fuzz leaves out, and for one
// that it names and that is gone: Go runs nothing then, and says that all is well.
func TestEveryFuzzTestIsRun(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatalf("read Makefile: %v", err)
	}
	var run []string
	for _, match := range fuzzLine.FindAllStringSubmatch(string(makefile), -1) {
		run = append(run, match[2]+" "+match[1])
	}
	there := fuzzTestsIn(t, "../..")
	if len(there) == 0 {
		t.Fatal("no fuzz test was found: the test would prove nothing")
	}
	slices.Sort(run)
	if diff := cmp.Diff(there, run); diff != "" {
		t.Errorf("make fuzz does not run each fuzz test once (-there +run)\n%s", diff)
	}
}

// fuzzTestsIn lists "folder name" for each fuzz test of the module at root.
func fuzzTestsIn(t *testing.T, root string) []string {
	t.Helper()
	var there []string
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(tree, file)
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		code, err := fs.ReadFile(tree, file)
		for _, match := range fuzzFunc.FindAllSubmatch(code, -1) {
			there = append(there, fmt.Sprintf("%s %s", path.Dir(file), match[1]))
		}
		return err
	})
	if err != nil {
		t.Fatalf("walk the module: %v", err)
	}
	slices.Sort(there)
	return there
}

// enter skips what Go takes for no part of the module: hidden folders, test data
// and other modules.
func enter(tree fs.FS, folder string) error {
	if folder == "." {
		return nil
	}
	if _, err := fs.Stat(tree, path.Join(folder, "go.mod")); err == nil {
		return fs.SkipDir
	}
	if base := path.Base(folder); base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	return nil
}
