// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 keeps every rule.
package v1alpha1
