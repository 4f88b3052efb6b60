// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command build makes the programs of the local cluster, once; it does nothing where they are already there.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

func main() {
	os.Exit(run())
}

func run() int {
	set := flag.String("set", string(binary.Hollow), "what to build: control-plane, hollow or node, each holding the one before")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "unexpected argument %q\n", flag.Arg(0))
		return 2
	}
	if err := binary.Build(ctx, binary.Set(*set), os.Stderr, clock.RealClock{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
