// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit is pure and stands beside the way to a grant.
package audit

import (
	_ "os" // want depguard

	_ "github.com/pull-access/pull-access-operator/internal/decision"
	_ "github.com/pull-access/pull-access-operator/internal/workload" // want depguard
)
