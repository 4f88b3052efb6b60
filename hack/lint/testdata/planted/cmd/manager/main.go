// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager wires the parts: it may see the cloud's door, the clock and the exit code.
package main

import (
	"fmt"
	"os"
	"time"

	_ "github.com/pull-access/pull-access-operator/hack/gcpemulator" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/gcp"
)

func main() {
	fmt.Println(time.Now())
	os.Exit(1)
}
