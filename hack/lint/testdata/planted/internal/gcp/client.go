// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gcp is the one home of Google's clients.
package gcp

import (
	_ "cloud.google.com/go/artifactregistry/apiv1"
	_ "cloud.google.com/go/iam/apiv1/iampb"

	_ "github.com/pull-access/pull-access-operator/controllers/policy" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/imageref"
)
