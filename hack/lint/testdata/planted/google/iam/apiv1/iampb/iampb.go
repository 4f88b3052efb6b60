// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package iampb stands in for Google's.
package iampb
