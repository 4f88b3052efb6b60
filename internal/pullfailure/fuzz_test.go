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
	corev1 "k8s.io/api/core/v1"
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
		for _, shown := range []string{v.Evidence, v.Permission, v.Resource, v.Host} {
			if !presentable(shown) || Sanitize(shown) != shown {
				t.Errorf("%q is not fit to be shown", shown)
			}
		}
		if whole := oneLine(message); len(message) <= maxHead {
			for _, shown := range []string{v.Evidence, v.Permission, v.Resource, v.Host} {
				if !strings.Contains(whole, strings.TrimSuffix(shown, "…")) {
					t.Errorf("%q is no part of the text", shown)
				}
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
		if v.Repairable() && v.Resource != "" && !serves(v.Resource, image) {
			t.Errorf("%s is repairable by a text about %s", image, v.Resource)
		}
		if more := Classify(Text{message + "\nfailed to fetch anonymous token", image, reason}); more.Repairable() {
			t.Errorf("a text that tells of an anonymous pull is repairable: %+v", more)
		}
	})
}

// No Event, whatever it says, chooses the image that a grant may be for.
func FuzzFromEvent(f *testing.F) {
	f.Add("Failed", inApp, refused)
	f.Add("BackOff", "", `Back-off pulling image "gcr.io/acme/model:7"`)
	f.Add("FailedCreatePodSandBox", "", noSandbox)
	f.Add("InspectFailed", "spec.containers[", "Failed to inspect image ")
	f.Fuzz(func(t *testing.T, reason, fieldPath, message string) {
		pod, told := cart(), event(1, reason, fieldPath, message)
		failure, ok := FromEvent(pod, told)
		if list := FromEvents(pod, []*corev1.Event{told}); ok != (len(list) == 1) {
			t.Errorf("one Event is %v, in a list %v", ok, list)
		}
		images := []string{google1, "busybox", "gcr.io/acme/init:1", "gcr.io/acme/debug:1", "gcr.io/acme/model:7"}
		switch {
		case !ok:
		case failure.Role == Sandbox:
			if failure.Image != "" || failure.Container != "" || !presentable(failure.SandboxImage) {
				t.Errorf("the sandbox's failure is %+v", failure)
			}
		case !slices.Contains(images, failure.Image):
			t.Errorf("image %q is not the pod's", failure.Image)
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

// oneLine is what Sanitize makes of a text of any length.
func oneLine(s string) string {
	printed := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(printed), " ")
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
