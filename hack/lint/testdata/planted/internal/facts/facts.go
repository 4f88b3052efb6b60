// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package facts keeps every rule.
package facts
