// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package message is pure and stands right of imageref.
package message

import (
	_ "context" // want depguard

	_ "github.com/pull-access/pull-access-operator/api/v1alpha1"
	_ "github.com/pull-access/pull-access-operator/internal/decision" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/imageref"
)
