// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package message holds the sentences that users read in conditions, Events and the
// history of grants, one file per subject.
//
// It stands right of imageref and is pure: a function takes plain values and returns a
// text. It decides nothing: its callers choose the sentence. The sentences of a diagnosis
// live in internal/diagnosis.
package message

import "time"

// stamp formats a time for users.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
