// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pullfailure stands left of diagnosis.
package pullfailure

import (
	_ "sync" // want depguard

	_ "github.com/pull-access/pull-access-operator/internal/diagnosis" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/imageref"
)
