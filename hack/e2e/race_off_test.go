// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && !race

package e2e

// raceFlags are empty: the tests are built without the race detector, and so is the operator.
var raceFlags []string
