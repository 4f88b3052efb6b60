// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pullfailure2 is a new package that no rule of the pure packages names.
package pullfailure2
