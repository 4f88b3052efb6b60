// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diagnosis stands left of decision.
package diagnosis

import (
	_ "context"  // want depguard
	_ "net/http" // want depguard
	_ "os"       // want depguard

	_ "github.com/pull-access/pull-access-operator/api/v1alpha1"
	_ "github.com/pull-access/pull-access-operator/internal/decision" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/imageref"
	_ "github.com/pull-access/pull-access-operator/internal/workload" // want depguard
)
