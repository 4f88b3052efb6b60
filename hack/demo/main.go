// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo shows the operator healing a real ImagePullBackOff on a real
// control plane, an emulated Google Cloud and a node without root, all on
// loopback. With DEMO_KEEP=1 it leaves them running after the story.
//
// Exit codes: 0 when the operator granted the access and the Deployment
// recovered, 1 otherwise.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

const (
	// storyBound is how long everything after the builds may take.
	storyBound = 3 * time.Minute
	// parentInterval is how often the demo looks whether it was orphaned.
	parentInterval = 500 * time.Millisecond
)

var (
	errTooLong  = fmt.Errorf("the story took longer than %s", storyBound)
	errOrphaned = errors.New("the program that started the demo has ended")
)

func main() { os.Exit(run()) }

func run() int {
	// A closed pipe must not end the demo before it has cleaned up, so SIGPIPE is a signal like the others.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	ctx, cancel := endWithParent(ctx)
	defer cancel()

	p := newPrinter(os.Stdout, clock.RealClock{})
	if err := demo(ctx, p, os.Getenv("DEMO_KEEP") == "1"); err != nil {
		p.fail(err)
		return 1
	}
	return 0
}

// demo builds what is missing, starts the parts, tells the story on them, and
// leaves nothing behind.
func demo(ctx context.Context, p *printer, keep bool) error {
	root, err := binary.RepositoryRoot()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil { // What the demo prints can be pasted there.
		return fmt.Errorf("enter the repository: %w", err)
	}
	if err := build(ctx, p); err != nil {
		return cause(ctx, err)
	}
	bounded, cancel := context.WithTimeoutCause(ctx, storyBound, errTooLong)
	defer cancel()
	parts := &lab{printer: p}
	defer parts.stop()
	err = parts.start(bounded)
	if err == nil {
		err = newStory(parts).tell(bounded)
	}
	err = cause(bounded, err)
	if keep && parts.operator != nil && ctx.Err() == nil {
		if err != nil {
			p.fail(err)
		}
		parts.invite()
		<-ctx.Done()
	}
	return err
}

// cause is why the context ended, if that is why there is an error. What was
// waited for is of interest only when it took too long.
func cause(ctx context.Context, err error) error {
	why := context.Cause(ctx)
	if err == nil || why == nil || errors.Is(err, errTooLong) {
		return err
	}
	return why
}

// endWithParent cancels the context also when the program that started this one
// is gone: go run does not pass on the signals that end it.
func endWithParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	parent := os.Getppid()
	go func() {
		ticker := time.NewTicker(parentInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if os.Getppid() != parent {
					cancel(errOrphaned)
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
