// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package helpers says nothing about what it holds.
package helpers // want revive
