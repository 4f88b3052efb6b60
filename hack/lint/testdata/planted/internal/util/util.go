// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package util says nothing about what it holds.
package util // want revive
