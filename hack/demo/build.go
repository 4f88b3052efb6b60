// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

// managerPath is where make build puts the operator.
const managerPath = "bin/manager"

// build makes the programs that make has not made: those of the cluster, and the operator.
func build(ctx context.Context, p *printer) error {
	if err := binary.Build(ctx, binary.Hollow, os.Stderr, clock.RealClock{}); err != nil {
		return err
	}
	_, err := os.Stat(managerPath)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p.step("Building the operator")
	args := slices.Concat([]string{"build"}, binary.Flags, []string{"-o", managerPath, "./cmd/manager"})
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the operator: %w\n%s", err, strings.TrimSpace(string(output)))
	}
	return nil
}
