// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package explanation is pure and stands right of grantstatus and left of facts.
package explanation

import (
	_ "context" // want depguard

	_ "github.com/pull-access/pull-access-operator/internal/facts" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/grantstatus"
)
