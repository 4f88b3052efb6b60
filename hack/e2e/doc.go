// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the end-to-end tests: a real control plane with nodes that really pull, the emulated Google Cloud, and
// the operator as a process of its own, under the service account and the rights that config/default gives it.
//
// Nothing of the operator is called from here; what it did is read where its users read it.
package e2e
