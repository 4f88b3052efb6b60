// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// parentInterval is how often it is looked whether the program that started this one is gone.
const parentInterval = 500 * time.Millisecond

// UntilEnded returns the context of a program that starts clusters: it ends with a signal, and with the cause orphaned when the
// program that started this one is gone, for go run does not pass on the signals that end it. A closed pipe must not end the
// program before it has cleaned up, so SIGPIPE is a signal like the others. stop gives up both.
func UntilEnded(orphaned error) (_ context.Context, stop func()) {
	signalled, unnotify := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(signalled)
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
					cancel(orphaned)
				}
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		unnotify()
	}
}
