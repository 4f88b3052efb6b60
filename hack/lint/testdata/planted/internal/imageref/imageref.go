// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package imageref keeps every rule.
package imageref
