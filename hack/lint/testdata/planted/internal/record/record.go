// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package record is pure and stands right of workload.
package record

import (
	_ "context" // want depguard

	_ "github.com/pull-access/pull-access-operator/internal/workload"
)
