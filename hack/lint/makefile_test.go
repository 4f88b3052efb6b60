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
	fuzzLine = regexp.MustCompile(`(?m)^\t\$\(GO\) test .*-fuzz '\^(?P<name>Fuzz\w+)\$\$' .*\./(?P<folder>\S+)$`)

	faultsTag  = regexp.MustCompile(`(?m)^//go:build .*\bfaults\b`)
	faultsFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(\w+ \*testing\.T\)`)
	faultsLine = regexp.MustCompile(`(?m)^\t\$\(GO\) -C (?P<folder>\S+) test .*-tags cluster,faults .*-run '\^(?P<name>Test\w+)\$\$'`)
)

// TestEveryFuzzTestIsRun fails for a fuzz test that make fuzz leaves out, and for one
// that it names and that is gone: Go runs nothing then, and says that all is well.
func TestEveryFuzzTestIsRun(t *testing.T) {
	wantRun(t, fuzzLine, func(code []byte) [][][]byte { return fuzzFunc.FindAllSubmatch(code, -1) })
}

// TestEveryTestOfFaultsIsRun is the same for make test-faults, without which nothing runs them.
func TestEveryTestOfFaultsIsRun(t *testing.T) {
	wantRun(t, faultsLine, func(code []byte) [][][]byte {
		if !faultsTag.Match(code) {
			return nil
		}
		return faultsFunc.FindAllSubmatch(code, -1)
	})
}

// wantRun wants the lines of the Makefile to run each test of the module that is found in its code, once.
func wantRun(t *testing.T, line *regexp.Regexp, find func(code []byte) [][][]byte) {
	t.Helper()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatalf("read Makefile: %v", err)
	}
	var run []string
	for _, match := range line.FindAllStringSubmatch(string(makefile), -1) {
		run = append(run, match[line.SubexpIndex("folder")]+" "+match[line.SubexpIndex("name")])
	}
	there := testsIn(t, "../..", find)
	if len(there) == 0 {
		t.Fatal("no such test was found: this one would prove nothing")
	}
	slices.Sort(run)
	if diff := cmp.Diff(there, run); diff != "" {
		t.Errorf("the Makefile does not run each test once (-there +run)\n%s", diff)
	}
}

// testsIn lists "folder name" for each test that is found in the module at root.
func testsIn(t *testing.T, root string, find func(code []byte) [][][]byte) []string {
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
		for _, match := range find(code) {
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
