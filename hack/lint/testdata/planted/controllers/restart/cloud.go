// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package restart reaches around its ports.
package restart

import (
	"fmt"
	"os"

	_ "cloud.google.com/go/artifactregistry/apiv1" // want depguard
	_ "cloud.google.com/go/iam/apiv1/iampb"        // want depguard

	_ "github.com/pull-access/pull-access-operator/hack/gcpemulator"        // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/controllertest" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/gcp"            // want depguard
)

// Stop prints and decides the exit code.
func Stop() {
	fmt.Println("stopped") // want forbidigo
	os.Exit(1)             // want forbidigo
}
