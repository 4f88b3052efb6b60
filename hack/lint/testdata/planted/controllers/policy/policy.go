// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy keeps every rule.
package policy
