// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func FuzzClassify(f *testing.F) {
	for _, l := range readTexts(f) {
		f.Add(l.text.Message, l.text.Image, l.text.Reason)
	}
	f.Add("403", "us-docker.pkg.dev/a/b/c", "Failed")
	f.Add(strings.Repeat("[rpc error 403 forbidden ", 20), "gcr.io/a/b", "")
	f.Add(`\u00`, `\`, "")
	f.Fuzz(func(t *testing.T, message, image, reason string) {
		v := Classify(Text{message, image, reason})
		if !slices.Contains(Causes(), v.Cause) {
			t.Errorf("cause %q is none of the list", v.Cause)
		}
		if (v.Cause == Ambiguous) != (len(v.Candidates) > 1) || slices.Contains(v.Candidates, Ambiguous) {
			t.Errorf("%s with candidates %v", v.Cause, v.Candidates)
		}
		for _, shown := range []string{v.Evidence, v.Permission, v.Resource} {
			if !presentable(shown) || Sanitize(shown) != shown {
				t.Errorf("%q is not fit to be shown", shown)
			}
		}
		if v.HTTPStatus != 0 && (v.HTTPStatus < 400 || v.HTTPStatus > 599) {
			t.Errorf("HTTP status %d", v.HTTPStatus)
		}
		if v.Repairable() && (v.Cause != PermissionDenied || v.CredentialSent == CredentialNo || !google(image)) {
			t.Errorf("%+v is repairable", v)
		}
		if diff := cmp.Diff(v, Classify(Text{message, image, reason}), cmp.AllowUnexported(Verdict{})); diff != "" {
			t.Errorf("twice is not once:\n%s", diff)
		}
		foreign := Classify(Text{message, "registry.example/" + image, reason})
		if foreign.Repairable() {
			t.Errorf("a text of a foreign registry is repairable: %+v", foreign)
		}
		if more := Classify(Text{message + "\nfailed to fetch anonymous token", image, reason}); more.Repairable() {
			t.Errorf("a text that tells of an anonymous pull is repairable: %+v", more)
		}
	})
}

func FuzzSanitize(f *testing.F) {
	f.Add("a\x00\u202e é")
	f.Add(strings.Repeat("é ", maxShown))
	f.Fuzz(func(t *testing.T, message string) {
		shown := Sanitize(message)
		if !presentable(shown) {
			t.Errorf("Sanitize(%q) = %q", message, shown)
		}
		if again := Sanitize(shown); again != shown {
			t.Errorf("Sanitize is not idempotent: %q, then %q", shown, again)
		}
	})
}

func presentable(s string) bool {
	return len(s) <= maxShown && utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// The work is bounded by a part of the text, however long that is.
func TestClassifyLongText(t *testing.T) {
	body := strings.Repeat("<p>denied: image x not found 403 Forbidden</p>\n", 1<<20/46)
	message := frame + head + "403 Forbidden\n" + body + "the end: connection refused"
	short := Text{Message: message[:maxHead] + "\n" + message[len(message)-maxTail:], Image: google1}
	long := Text{Message: message, Image: google1}
	if got, want := Classify(long), Classify(short); got.Cause != want.Cause || got.Evidence != want.Evidence {
		t.Errorf("1 MB: %+v, its ends: %+v", got, want)
	}
	if Classify(long).Repairable() {
		t.Error("a text that is not wholly read is repairable")
	}
	if allocs := testing.AllocsPerRun(10, func() { Classify(long) }); allocs > 4 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestClassifyAllocations(t *testing.T) {
	text := benchText()
	if v := Classify(text); !v.Repairable() || v.Permission == "" || v.Resource == "" {
		t.Fatalf("the benchmark does not measure the whole way: %+v", v)
	}
	if allocs := testing.AllocsPerRun(100, func() { Classify(text) }); allocs > 4 {
		t.Errorf("%v allocations for 1 KB, want at most 4", allocs)
	}
}
