// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gcpemulator stands in for Google in tests and may live in real time.
package gcpemulator

import "time"

// Started is when the emulator began.
func Started() time.Time {
	return time.Now()
}
