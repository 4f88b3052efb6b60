// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package decision is pure: it reads no clock and calls nothing that stands to its right.
package decision

import (
	now "time"

	_ "github.com/pull-access/pull-access-operator/controllers/restart"   // want depguard
	_ "github.com/pull-access/pull-access-operator/internal/pullfailure2" // want depguard
)

// Window may speak of time, only not ask for it.
const Window = 5 * now.Minute

// Started asks for the time, under another name.
func Started() now.Time {
	return now.Now() // want forbidigo
}

// Wait holds a worker up.
func Wait() {
	now.Sleep(Window) // want forbidigo
}

// Refuse brings the program down.
func Refuse() {
	panic("refused") // want forbidigo
}
