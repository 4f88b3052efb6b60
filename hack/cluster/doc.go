// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster runs a real Kubernetes control plane, and nodes, on loopback for tests and for the demo.
//
// Nothing here is part of the operator, and nothing of the operator is known here: the package starts the programs of a
// Kubernetes release, hands out credentials for them, and leaves neither a process nor a file behind.
package cluster
