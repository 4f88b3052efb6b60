// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package grant declares its ports in the words of the pure packages.
package grant

import (
	_ "cloud.google.com/go/iam/apiv1/iampb" // want depguard

	_ "github.com/pull-access/pull-access-operator/internal/audit" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/decision"
	_ "github.com/pull-access/pull-access-operator/internal/imageref"
)
