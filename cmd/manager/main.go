// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager is the operator: it watches for pods that cannot pull their
// image, says why, and, where a PullAccessPolicy allows it, opens the repository
// and brings the workload back.
//
// Exit codes: 0 after a signal, 1 when it failed while running, 2 when it was
// called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/pull-access/pull-access-operator/cmd/manager/app"
)

// version is set when the program is built.
var version = "dev"

func main() { os.Exit(run()) }

func run() int {
	options, err := app.ParseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "manager: %v; see manager --help\n", err)
		return 2
	case options.Version:
		fmt.Println("pull-access-operator", version)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := app.Run(ctx, version, options); err != nil {
		fmt.Fprintf(os.Stderr, "manager: %v\n", err)
		if errors.Is(err, app.ErrUsage) {
			return 2
		}
		return 1
	}
	return 0
}
