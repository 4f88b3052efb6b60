// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package grantstatus is pure and stands right of workload.
package grantstatus

import (
	_ "context" // want depguard

	_ "github.com/pull-access/pull-access-operator/internal/workload"
)
