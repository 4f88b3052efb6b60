// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// Bounds on text that comes from outside or goes there, in bytes.
const (
	maxMessage = 200
	maxReason  = iampolicy.MaxReason
)

// clean makes text from outside fit for an error or a condition: one line,
// printable, at most maxMessage bytes, without the full stop.
func clean(s string) string {
	s = cut(strings.ToValidUTF8(s, ""), 4*maxMessage) // More is never shown, so it is not looked at.
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	return strings.TrimSuffix(cut(strings.Join(strings.Fields(s), " "), maxMessage), ".")
}

// headerValue keeps of s what a header may hold.
func headerValue(s string) string {
	return cut(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s), maxReason)
}

// cut keeps at most limit bytes of valid UTF-8, and no part of a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
