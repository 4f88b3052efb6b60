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
	"path/filepath"
	"time"

	"k8s.io/utils/clock"
)

// Build builds the programs of the set that are not there yet, and tells of each on progress. A program appears under its
// name only when it is whole, so that an interrupted build or a second one at the same time does no harm.
func Build(ctx context.Context, set Set, progress io.Writer, clk clock.PassiveClock) error {
	root, err := RepositoryRoot()
	if err != nil {
		return err
	}
	missing, err := missing(root, set)
	if err != nil {
		return err
	}
	begin := clk.Now()
	for i, b := range missing {
		fmt.Fprintf(progress, "building %s (%d of %d) ...", b.name, i+1, len(missing))
		start := clk.Now()
		if err := b.build(ctx, root); err != nil {
			fmt.Fprintln(progress)
			return err
		}
		fmt.Fprintf(progress, " %s, %s in all\n", clk.Since(start).Round(time.Second), clk.Since(begin).Round(time.Second))
	}
	return nil
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

func (b binary) build(ctx context.Context, root string) error {
	target, err := b.path(root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("build %s: %w", b.name, err)
	}
	scratch, err := os.MkdirTemp(filepath.Dir(target), ".build-")
	if err != nil {
		return fmt.Errorf("build %s: %w", b.name, err)
	}
	defer os.RemoveAll(scratch)

	ldflags := "-s -w"
	if b.module.ldflags != nil {
		version, err := b.module.version(root)
		if err != nil {
			return err
		}
		ldflags += " " + b.module.ldflags(version)
	}
	out := filepath.Join(scratch, b.name)
	// -mod is set here because a caller's GOFLAGS could otherwise have the pins rewritten.
	args := []string{"build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", ldflags}
	if b.tags != "" {
		args = append(args, "-tags", b.tags)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", out, b.pkg)...)
	cmd.Dir = filepath.Join(root, b.module.folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS=", "GOARCH=")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build %s: %w", b.name, ctx.Err())
		}
		return fmt.Errorf("build %s: %w\n%s", b.name, err, output.String())
	}
	if err := os.Rename(out, target); err != nil {
		return fmt.Errorf("build %s: %w", b.name, err)
	}
	return nil
}
