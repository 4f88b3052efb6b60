// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pull-access/pull-access-operator/hack/bench/measure"
	"github.com/pull-access/pull-access-operator/hack/cluster"
)

const pollInterval = 100 * time.Millisecond

// build makes a program of this project as it is released.
func build(ctx context.Context, folder, path string, flags ...string) error {
	args := slices.Concat([]string{"build", "-trimpath"}, flags, []string{"-o", path, folder})
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", folder, err, strings.TrimSpace(string(output)))
	}
	return nil
}

// stripped are the flags that leave out what only a debugger reads.
var stripped = []string{"-ldflags", "-s -w"}

// program is a running controller manager: the operator, or the plain one beside it.
type program struct {
	*cluster.Manager
	// metrics reads the operator's metrics. It is nil for the plain manager, which serves them without
	// authentication.
	metrics *http.Client
}

func (p *program) proc() measure.Process { return measure.Process(p.PID()) }

// series reads the program's metrics.
func (p *program) series(ctx context.Context) (map[string]float64, error) {
	if p.metrics == nil {
		return measure.Series(ctx, http.DefaultClient, "http://"+p.Metrics+"/metrics")
	}
	return measure.Series(ctx, p.metrics, "https://"+p.Metrics+"/metrics")
}

// launch starts a controller manager and returns when it is ready; env nil inherits ours.
func launch(ctx context.Context, path, log string, env []string, args ...string) (*program, error) {
	manager, err := cluster.StartManager(ctx, cluster.Command{Name: filepath.Base(path), Path: path, Log: log, Env: env, Args: args})
	if err != nil {
		return nil, err
	}
	return &program{Manager: manager}, nil
}
