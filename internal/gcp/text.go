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
	// maxMessage is for names, maxSentence for Google's messages.
	maxMessage  = 200
	maxSentence = 400
	maxReason   = iampolicy.MaxReason
)

// clean prepares an external name for an error or a condition: one line, printable, at most
// maxMessage bytes, without the full stop.
func clean(s string) string {
	// Ignore the rest, because it is never shown.
	return strings.TrimSuffix(cut(oneLine(s, 4*maxMessage), maxMessage), ".")
}

const ellipsis = "…"

// shorten prepares Google's message for an error or a condition: one line, printable,
// without the full stop. It cuts a message of more than maxSentence bytes at a word and
// adds an ellipsis.
func shorten(s string) string {
	line := oneLine(s, 4*maxSentence)
	if len(line) <= maxSentence && len(s) <= 4*maxSentence {
		return strings.TrimSuffix(line, ".")
	}
	line = cut(line, maxSentence-len(ellipsis)+1)
	if word := strings.LastIndexByte(line, ' '); word > 0 {
		line = line[:word]
	}
	return strings.TrimRight(cut(line, maxSentence-len(ellipsis)), " .,;:") + ellipsis
}

// oneLine returns the first limit bytes of s as one printable line.
func oneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, cut(strings.ToValidUTF8(s, ""), limit))
	return strings.Join(strings.Fields(s), " ")
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
