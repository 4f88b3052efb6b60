// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package artifactregistry stands in for Google's.
package artifactregistry
