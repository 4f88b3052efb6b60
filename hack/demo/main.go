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
	"time"

	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/hack/cluster"
	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

// storyBound is how long everything after the builds may take.
const storyBound = 3 * time.Minute

var (
	errTooLong  = fmt.Errorf("the story took longer than %s", storyBound)
	errOrphaned = errors.New("the program that started the demo has ended")
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := cluster.UntilEnded(errOrphaned)
	defer stop()

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
