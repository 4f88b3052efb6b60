// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"strings"
	"testing"
)

func TestRulesAreFound(t *testing.T) {
	type key struct {
		words string
		place place
	}
	seen := map[key]bool{}
	for _, r := range rules.rules {
		if k := (key{r.words, r.place}); seen[k] {
			t.Errorf("%q is there twice", r.words)
		} else {
			seen[k] = true
		}
		if folded := string(fold(r.words)); folded != r.words || strings.TrimSpace(r.words) != r.words || strings.Contains(r.words, "  ") {
			t.Errorf("%q is not as texts are read", r.words)
		}
		if (r.causes == 0) != (r.rank == mute) {
			t.Errorf("%q: rank %d with causes %b", r.words, r.rank, r.causes)
		}
		text := strings.ReplaceAll(r.words, "*", "token")
		if r.place == afterURL {
			text = "https://registry.example/: " + text
		}
		s := scanner{text: text, low: fold(text)}
		s.scan()
		if r.rank == mute && r.marks == explained {
			continue // Counts only after an answer.
		}
		if a := s.attempts[0]; a.marks&r.marks != r.marks || a.rank < r.rank {
			t.Errorf("%q is not found in %q: rank %d, marks %b", r.words, text, a.rank, a.marks)
		}
	}
	if len(seen) < 300 {
		t.Errorf("there are only %d rules", len(seen))
	}
}

func TestTokenLength(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "a b": 1, "a\nb c": 1, "a b\nc": 1, "ab": 2, strings.Repeat("a", 1<<20): 512,
	} {
		if got := tokenLength([]byte(text)); got != want {
			t.Errorf("tokenLength of %d bytes = %d, want %d", len(text), got, want)
		}
	}
}

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"Denied\t\r\x00\x7f\n": "denied    \n",
		`a\"b\nc\\d\te`:        "a \"b \nc  d  e",
		`\u003cB\u0027`:        `     <b     '`,
		`\u0041`:               `     a`,
		`\u12aB\u00`:           `\u12ab\u00`,
		`end\`:                 `end\`,
		"É\xff":                "É\xff",
	} {
		if got := string(fold(text)); got != want || len(got) != len(text) {
			t.Errorf("fold(%q) = %q, want %q", text, got, want)
		}
	}
}
