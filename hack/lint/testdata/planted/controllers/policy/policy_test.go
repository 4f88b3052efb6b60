// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	_ "github.com/pull-access/pull-access-operator/internal/controllertest"
)
