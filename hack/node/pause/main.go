// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command pause sleeps until it is told to end. Packed into an image, alone, it is the smallest container that runs.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
}
