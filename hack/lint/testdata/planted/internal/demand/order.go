// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package demand stands right of decision and left of grantstatus.
package demand

import (
	_ "github.com/pull-access/pull-access-operator/internal/decision"
	_ "github.com/pull-access/pull-access-operator/internal/explanation" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/grantstatus" // want depguard
)
