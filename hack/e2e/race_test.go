// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && race

package e2e

// raceFlags have the operator built with the race detector, as the tests themselves are.
var raceFlags = []string{"-race"}
