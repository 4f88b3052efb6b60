// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package iampolicy stands left of pullfailure. It edits policies and so may see their shape, but no client.
package iampolicy

import (
	_ "cloud.google.com/go/artifactregistry/apiv1" // want depguard
	_ "cloud.google.com/go/iam/apiv1/iampb"

	_ "github.com/pull-access/pull-access-operator/internal/imageref"
	_ "github.com/pull-access/pull-access-operator/internal/pullfailure" // want depguard
)
