// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package events stands left of the controllers.
package events

import (
	_ "github.com/pull-access/pull-access-operator/controllers/restart" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/imageref"
)
