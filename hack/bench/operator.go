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

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/pull-access/pull-access-operator/hack/bench/measure"
	"github.com/pull-access/pull-access-operator/hack/cluster"
)

const (
	pollInterval = 100 * time.Millisecond
	// startAttempts bounds how often a start begins anew because another program took a port that had been found free.
	startAttempts = 3
)

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
	*cluster.Process
	// metrics and probes are HOST:PORT.
	metrics, probes string
	log             string
}

func (p *program) proc() measure.Process { return measure.Process(p.PID()) }

// series reads the program's metrics.
func (p *program) series(ctx context.Context) (map[string]float64, error) {
	return measure.Series(ctx, "http://"+p.metrics+"/metrics")
}

// launch starts a controller manager and returns when it is ready.
func launch(ctx context.Context, path, log string, args ...string) (*program, error) {
	for attempt := 1; ; attempt++ {
		p, err := tryLaunch(ctx, path, log, args)
		if err == nil || attempt == startAttempts || !strings.Contains(err.Error(), "address already in use") {
			return p, err
		}
	}
}

func tryLaunch(ctx context.Context, path, log string, args []string) (*program, error) {
	p := &program{log: log}
	for _, address := range []*string{&p.metrics, &p.probes} {
		var err error
		if *address, err = cluster.FreeAddress(); err != nil {
			return nil, err
		}
	}
	process, err := cluster.StartProcess(cluster.Command{
		Name: filepath.Base(path), Path: path, Log: log,
		Args: append(args, "--metrics-bind-address="+p.metrics, "--health-probe-bind-address="+p.probes),
	})
	if err != nil {
		return nil, err
	}
	p.Process = process
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		if err := process.Exited(); err != nil {
			return false, err
		}
		return isReady(ctx, "http://"+p.probes+"/readyz"), nil
	})
	if err != nil {
		process.Stop()
		return nil, err
	}
	return p, nil
}

func isReady(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}
