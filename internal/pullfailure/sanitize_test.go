// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"strings"
	"testing"
)

func TestSanitize(t *testing.T) {
	tests := map[string]struct{ message, want string }{
		"nothing":           {"", ""},
		"as it is":          {`denied: Permission "x"`, `denied: Permission "x"`},
		"one line":          {"403 Forbidden\r\n\tdenied", "403 Forbidden denied"},
		"around":            {"  a  ", "a"},
		"control":           {"a\x00b\x1b[31mc\x7f", "a b [31mc"},
		"direction of text": {"a\u202eb\u2066c", "a b c"},
		"invalid UTF-8":     {"a\xffb", "a\ufffdb"},
		"other scripts":     {"échec – 失敗", "échec – 失敗"},
		"just fits":         {strings.Repeat("a", maxShown), strings.Repeat("a", maxShown)},
		"too long":          {strings.Repeat("a", maxShown+1), strings.Repeat("a", maxShown-3) + "…"},
		"cut in a rune":     {strings.Repeat("é", maxShown), strings.Repeat("é", (maxShown-3)/2) + "…"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Sanitize(tc.message); got != tc.want {
				t.Errorf("Sanitize(%q) = %q, want %q", tc.message, got, tc.want)
			}
		})
	}
}
