// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllertest is for tests and holds IAM policies, but no client.
package controllertest

import (
	_ "cloud.google.com/go/artifactregistry/apiv1" // want depguard
	_ "cloud.google.com/go/iam/apiv1/iampb"

	_ "github.com/pull-access/pull-access-operator/internal/facts" // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/imageref"
)
