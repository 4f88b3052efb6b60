// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures the operator as a whole, on a real control plane and an emulated Google Cloud, all on loopback:
//
//	bench quiet   what it costs where nothing fails, beside a plain manager that watches all pods
//	bench storm   what it does when thousands of pods fail at once
//	bench alone   how soon it acts on one failure
//	bench hostile how much memory it takes beside pods of the largest possible size
//	bench binary  what is linked into it
//	bench all     all of these, which is the default
//
// It prints tables. Figures of time and memory are printed beside their target, and judged by the reader; a count that must
// hold exactly is marked held or MISSED. With -hold, quiet and alone leave their cluster running until Ctrl-C.
//
// Exit codes: 0 when all counts held, 1 when one was missed or something failed, 2 when it was called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pull-access/pull-access-operator/hack/cluster"
	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

var errOrphaned = errors.New("the program that started the benchmark has ended")

func main() { os.Exit(run()) }

func run() int {
	options, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "bench: %v; see bench -h\n", err)
		return 2
	}
	ctx, stop := cluster.UntilEnded(errOrphaned)
	defer stop()
	ctrllog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())

	missed, err := measureAll(ctx, options)
	if why := context.Cause(ctx); err != nil && why != nil {
		err = why
	}
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 1
	case missed > 0:
		fmt.Printf("\n%d counts were MISSED.\n", missed)
		return 1
	}
	return 0
}

// bench is what all parts have in common.
type bench struct {
	options
	out   io.Writer
	start time.Time
	// manager and plain are the programs that are measured.
	manager, plain string
	missed         int
}

// measureAll runs the parts that were asked for, and says how many counts were missed.
func measureAll(ctx context.Context, o options) (int, error) {
	root, err := binary.RepositoryRoot()
	if err != nil {
		return 0, err
	}
	if err := os.Chdir(root); err != nil {
		return 0, fmt.Errorf("enter the repository: %w", err)
	}
	dir, err := os.MkdirTemp("", "pull-access-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, out: os.Stdout, start: time.Now(), manager: filepath.Join(dir, "manager"), plain: filepath.Join(dir, "plain")}
	for _, part := range o.parts {
		if err := part.run(b, ctx); err != nil {
			return b.missed, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return b.missed, nil
}

// makeManager builds the operator, once.
func (b *bench) makeManager(ctx context.Context) error {
	if _, err := os.Stat(b.manager); err == nil {
		return nil
	}
	b.step("Building the operator")
	return build(ctx, "./cmd/manager", b.manager, stripped...)
}

// show prints a table and keeps what it missed.
func (b *bench) show(t *table) {
	t.print(b.out)
	b.missed += t.missed()
}

// step and note tell what is being done, on standard error: the tables are on standard output.
func (b *bench) step(format string, args ...any) { b.say("", format, args...) }
func (b *bench) note(format string, args ...any) { b.say("  ", format, args...) }

func (b *bench) say(indent, format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%6.1fs] %s%s\n", time.Since(b.start).Seconds(), indent, fmt.Sprintf(format, args...))
}
