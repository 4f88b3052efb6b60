// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShown bounds what is shown of a text from outside, in bytes.
const maxShown = 512

// ellipsis stands for what was left out, by us or by others.
const ellipsis = "…"

// Sanitize makes a text from outside fit for logs, events and conditions: at
// most 512 bytes of valid UTF-8 on one line, without control characters or
// characters that change the direction of the text around them.
func Sanitize(message string) string {
	if plain(message) {
		return message
	}
	var b strings.Builder
	b.Grow(min(len(message), maxShown))
	space := true // Leading white space is dropped.
	fits := 0     // The length at which an ellipsis can still follow.
	for _, r := range message {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		if r == ' ' && space {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > maxShown {
			return strings.TrimRight(b.String()[:fits], " ") + ellipsis
		}
		b.WriteRune(r)
		space = r == ' '
		if b.Len() <= maxShown-len(ellipsis) {
			fits = b.Len()
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// plain tells whether message is already as it shall be shown.
func plain(message string) bool {
	if len(message) > maxShown {
		return false
	}
	previous := byte(' ')
	for i := range len(message) {
		c := message[i]
		if c < ' ' || c >= 0x7f || c == ' ' && previous == ' ' {
			return false
		}
		previous = c
	}
	return message == "" || previous != ' '
}
