// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

// Flags are the build flags of every program of the test rig, and of make build. Go compiles a package that two
// programs share only once if they have the same flags. Without inlining and debugger data it compiles a fifth faster.
var Flags = []string{"-trimpath", "-gcflags=all=-l -dwarf=false"}

// Build builds the missing programs of the set, and reports progress and an estimate. It moves a program to its
// final name only when the program is complete, so interrupted and concurrent builds do no harm.
func Build(ctx context.Context, set Set, out io.Writer, clk clock.PassiveClock) error {
	root, err := RepositoryRoot()
	if err != nil {
		return err
	}
	missing, err := missing(root, set)
	if err != nil || len(missing) == 0 {
		return err
	}
	groups := groupByBuild(missing)
	report := &progress{out: out, clock: clk, begin: clk.Now(), left: map[string]bool{}}
	for _, g := range groups {
		if err := g.addStale(ctx, root, report.left); err != nil {
			return err
		}
	}
	report.start(names(missing))
	for _, g := range groups {
		if err := g.build(ctx, root, report); err != nil {
			return err
		}
	}
	report.end()
	return nil
}

// group is a list of programs that one go build builds.
type group []binary

func groupByBuild(programs []binary) []group {
	var groups []group
	for _, b := range programs {
		i := slices.IndexFunc(groups, func(g group) bool { return g[0].module == b.module && g[0].tags == b.tags })
		if i < 0 {
			groups, i = append(groups, nil), len(groups)
		}
		groups[i] = append(groups[i], b)
	}
	return groups
}

func names(programs []binary) []string {
	var names []string
	for _, b := range programs {
		names = append(names, b.name)
	}
	return names
}

func missing(root string, set Set) ([]binary, error) {
	all, err := members(set)
	if err != nil {
		return nil, err
	}
	var missing []binary
	for _, b := range all {
		path, err := b.path(root)
		if err != nil {
			return nil, err
		}
		if !isFile(path) {
			missing = append(missing, b)
		}
	}
	return missing, nil
}

// build builds the group's programs in a temporary folder and moves each to its place.
func (g group) build(ctx context.Context, root string, report *progress) error {
	ldflags := "-s -w"
	if module := g[0].module; module.ldflags != nil {
		version, err := module.version(root)
		if err != nil {
			return err
		}
		ldflags += " " + module.ldflags(version)
	}
	target, err := g[0].path(root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("build %s: %w", names(g), err)
	}
	scratch, err := os.MkdirTemp(filepath.Dir(target), ".build-")
	if err != nil {
		return fmt.Errorf("build %s: %w", names(g), err)
	}
	defer os.RemoveAll(scratch)

	cmd := g.command(ctx, root, "build", "-v", "-buildvcs=false", "-ldflags", ldflags, "-o", scratch+string(filepath.Separator))
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, report.filter(&output)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build %s: %w", names(g), ctx.Err())
		}
		return fmt.Errorf("build %s: %w\n%s", names(g), err, output.String())
	}
	for _, b := range g {
		target, err := b.path(root)
		if err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(scratch, executable(b.pkg)), target); err != nil {
			return fmt.Errorf("build %s: %w", b.name, err)
		}
	}
	return nil
}

// addStale adds the import paths of the packages that the build has to compile.
func (g group) addStale(ctx context.Context, root string, stale map[string]bool) error {
	cmd := g.command(ctx, root, "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	listed, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("list the packages of %s: %w\n%s", names(g), err, stderr.String())
	}
	for _, path := range strings.Fields(string(listed)) {
		stale[path] = true
	}
	return nil
}

// command returns a go command on the group's packages, with the flags that determine whether Go can reuse a
// package.
func (g group) command(ctx context.Context, root, verb string, flags ...string) *exec.Cmd {
	// Set -mod here, because a caller's GOFLAGS could otherwise rewrite the pins.
	args := slices.Concat([]string{verb, "-mod=readonly", "-tags", g[0].tags}, Flags, flags)
	for _, b := range g {
		args = append(args, b.pkg)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(root, g[0].module.folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS=", "GOARCH=")
	return cmd
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// executable returns the name that go build gives a program: the last part of its import path that is not a major
// version.
func executable(pkg string) string {
	if name := path.Base(pkg); !majorVersion.MatchString(name) {
		return name
	}
	return path.Base(path.Dir(pkg))
}
