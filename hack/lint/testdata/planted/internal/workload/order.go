// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workload stands left of events.
package workload

import (
	_ "github.com/pull-access/pull-access-operator/internal/events" // want depguard
)
