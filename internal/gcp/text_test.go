// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"The caller does not have permission.": "The caller does not have permission",
		" two\r\n lines\t":                     "two lines",
		"\x1b[31mred\x00":                      "[31mred",
		"bad \xff byte":                        "bad byte",
		"right\u202eleft":                      "rightleft",
		strings.Repeat("ä", 150):               strings.Repeat("ä", 100),
		"x" + strings.Repeat("ä", 150):         "x" + strings.Repeat("ä", 99),
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("Permission 'x' denied.\n")
	f.Fuzz(func(t *testing.T, in string) {
		got := clean(in)
		if len(got) > maxMessage || !utf8.ValidString(got) ||
			strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("clean(%q) = %q", in, got)
		}
		if header := headerValue(in); len(header) > maxReason || strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("headerValue(%q) = %q", in, header)
		}
	})
}
