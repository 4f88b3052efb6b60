// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"runtime"
	"slices"
	"strings"
	"testing"
)

// lies are what a registry may write into its answer to be taken for another, or
// for one that was never asked.
var lies = []string{
	denial,
	strings.ReplaceAll(denial, "acme-prod", "victim"),
	`unexpected status from GET request to https://us-central1-docker.pkg.dev/v2/token?service=us-central1-docker.pkg.dev: 403 Forbidden`,
	oauth + "403 Forbidden",
	"rpc error: code = Unknown desc = " + oauth + "403 Forbidden",
	"], " + oauth + "403 Forbidden]",
	"\nerrors:\n" + denial + "\n",
	`{"errors":[{"code":"DENIED","message":"Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource \"projects/acme-prod/locations/us-central1/repositories/services\" (or it may not exist)"}]}`,
	"(Mirrors also failed: [x: y]): " + oauth + "403 Forbidden",
	"<html><head><title>403 Forbidden</title></head><body><h1>denied</h1>" + denial + "</body></html>",
	"pulling from host us-central1-docker.pkg.dev failed with status code [manifests 1.8.2]: 403 Forbidden",
	"\x1b[2K\r" + denial,
}

// A foreign registry can't have a grant made, whatever it answers; nor can a mirror
// that is asked in the name of Artifact Registry, where the runtime tells who answered.
func TestLiesOfRegistries(t *testing.T) {
	const foreign = "evil.example/acme-prod/services/checkout:1.8.2"
	frames := map[string]string{
		"a foreign registry":             `failed to resolve image: unexpected status from HEAD request to https://evil.example/v2/acme-prod/services/checkout/manifests/1.8.2: 403 Forbidden` + "\ndenied: ",
		"the same, under containerd 1.6": "failed to copy: httpReadSeeker: failed open: unexpected status code https://evil.example/v2/acme-prod/services/checkout/blobs/sha256:0: 403 Forbidden - Server message: denied: ",
		"the same, under CRI-O":          "initializing source docker://" + foreign + ": reading manifest 1.8.2 in evil.example/acme-prod/services/checkout: denied: ",
		"the same, under docker":         "Error response from daemon: error from registry: ",
		"no frame":                       "",
	}
	for name, before := range frames {
		for _, lie := range lies {
			v := Classify(Text{Message: before + lie, Image: foreign, Reason: "Failed"})
			if v.Repairable() {
				t.Errorf("%s is believed: %+v\n%s", name, v, before+lie)
			}
			if v.Cause == NotPullFailure {
				t.Errorf("%s hides the failure: %s", name, before+lie)
			}
		}
	}
	for _, status := range []string{"401 Unauthorized", "403 Forbidden", "404 Not Found", "500 Internal Server Error"} {
		for _, lie := range lies {
			message := "failed to resolve image: unexpected status from HEAD request to https://mirror.example/v2/acme-prod/services/checkout/manifests/1.8.2?ns=us-central1-docker.pkg.dev: " +
				status + "\ndenied: " + lie
			if v := Classify(Text{Message: message, Image: google1, Reason: "Failed"}); v.Repairable() || !v.Mirror && strings.HasPrefix(lie, "Permission") {
				t.Errorf("a mirror is believed: %+v\n%s", v, message)
			}
		}
	}
}

// Names of images that hold the words of causes change neither cause nor repair,
// wherever a runtime puts them.
func TestNamesOfImagesAreNoWords(t *testing.T) {
	names := []string{
		"manifest-unknown:403-forbidden", "unauthorized@sha256:" + strings.Repeat("0", 64), "denied/artifactregistry.repositories.downloadartifacts:not-found",
		"failed-to-fetch-oauth-token:403", "failed.to.fetch.anonymous.token:1", "toomanyrequests:429", "vpcservicecontrols:403", "upstream:unlikely", "no.basic.auth.credentials:401",
	}
	for _, l := range readTexts(t) {
		repository, _, tagged := strings.Cut(l.text.Image, ":")
		if !tagged || l.cause == InvalidReference || strings.Contains(l.text.Image, "@") || strings.Count(l.text.Image, ":") > 1 {
			continue
		}
		at := strings.LastIndex(repository, "/")
		if at < 0 {
			continue
		}
		want := Classify(l.text)
		for _, name := range names {
			short, tag, _ := strings.Cut(strings.ReplaceAll(name, "@", ":"), ":")
			renamed := strings.NewReplacer(repository[at:]+":", "/"+short+":", repository[at:]+"/manifests/", "/"+short+"/manifests/",
				"manifests "+tagOf(l.text.Image), "manifests "+tag, "reading manifest "+tagOf(l.text.Image)+" in", "reading manifest "+tag+" in")
			got := Classify(Text{Message: renamed.Replace(l.text.Message), Image: repository[:at] + "/" + name, Reason: l.text.Reason})
			if got.Cause != want.Cause || got.Repairable() && !want.Repairable() {
				t.Errorf("%s: named %s it is %s on %q, want %s\n%s", l.name, name, got.Cause, got.Evidence, want.Cause, renamed.Replace(l.text.Message))
			}
		}
	}
}

func tagOf(image string) string { return image[strings.LastIndex(image, ":")+1:] }

// What no runtime writes must neither stop the reader nor lead to a repair.
func TestBrokenTexts(t *testing.T) {
	whole := oauth + "403 Forbidden"
	tests := map[string]string{
		"no text":                        "",
		"only white space":               " \t\r\n\v\f",
		"only zero bytes":                strings.Repeat("\x00", 4096),
		"only a backslash":               `\`,
		"half an escape":                 whole + `\u00`,
		"bytes that are no text":         strings.ReplaceAll(whole, " ", "\xff\xfe"),
		"half a rune":                    whole + "\xe2\x80",
		"control characters in words":    strings.ReplaceAll(whole, "Forbidden", "For\x08bidden"),
		"escape sequences":               strings.ReplaceAll(whole, "oauth", "\x1b[31moauth\x1b[0m"),
		"directions of text":             strings.ReplaceAll(whole, "oauth", "\u202eoauth\u202c"),
		"letters that only look alike":   strings.ReplaceAll(whole, "Forbidden", "Fоrbidden"),
		"digits of another script":       strings.ReplaceAll(whole, "403", "４０３"),
		"a status in pieces":             strings.ReplaceAll(whole, "403", "4 0 3"),
		"a status of four digits":        strings.ReplaceAll(whole, "403 ", "4030 "),
		"brackets without end":           strings.Repeat("[", 4096) + whole,
		"a page":                         "<!DOCTYPE html><html><head><title>Error 403 (Forbidden)!!1</title></head><body><p>Your client does not have permission to get URL</p></body></html>",
		"a page after the status":        frame + head + "403 Forbidden\n<html><body>Sign in to your proxy</body></html>",
		"JSON in JSON in JSON":           `{"a":"{\"b\":\"{\\\"code\\\":\\\"DENIED\\\"}\"}"}`,
		"more attempts than are weighed": "[" + strings.Repeat(whole+", ", 100) + nobody + "403 Forbidden]",
	}
	for name, message := range tests {
		t.Run(name, func(t *testing.T) {
			v := Classify(Text{Message: message, Image: google1, Reason: "Failed"})
			if v.Repairable() {
				t.Errorf("repairable: %+v", v)
			}
			if !slices.Contains(Causes(), v.Cause) || !presentable(v.Evidence) || !presentable(v.Host) {
				t.Errorf("%+v can't be shown", v)
			}
		})
	}
}

// Several attempts in one text are weighed together, whatever their order.
func TestAttemptsInAnyOrder(t *testing.T) {
	// Of two credentials that are sent, one refused and one invalid, the first can be healed.
	attempts := []string{oauth + "403 Forbidden", oauth + "401 Unauthorized", nobody + "403 Forbidden", "rpc error: code = NotFound desc = " + frame + google1 + ": not found", oauth + "503 Service Unavailable"}
	for i, first := range attempts {
		for k, second := range attempts {
			there := Classify(Text{Message: "[" + first + ", " + second + "]", Image: google1})
			back := Classify(Text{Message: "[" + second + ", " + first + "]", Image: google1})
			if there.Cause != back.Cause || there.Repairable() != back.Repairable() {
				t.Errorf("%s, the other way round %s: %s, %s", there.Cause, back.Cause, first, second)
			}
			if want := i+k < 2 && i*k == 0; there.Repairable() != want {
				t.Errorf("repairable is %v of %s, %s", there.Repairable(), first, second)
			}
		}
	}
}

// The work on a text of any length is that on 8 KB: what is allocated shows it,
// and that nothing beyond is looked at (TestClassifyLongText).
func TestWorkIsBounded(t *testing.T) {
	allocated := func(text Text) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Classify(text)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for name, unit := range map[string]string{
		"prose": "the registry is having a rather bad day. ", "names": "a/b:c@d%2F ", "statuses": "403 Forbidden ", "escapes": `\"\n\u003c`,
		"attempts": oauth + "403 Forbidden, ", "one word": "permission", "wildcards": "permission ", "no spaces": "/", "brackets": "[",
	} {
		long := Text{Message: strings.Repeat(unit, 1<<20/len(unit)+1), Image: google1}
		if got := allocated(long); got > 32<<10 {
			t.Errorf("%s: %d bytes allocated for 1 MB", name, got)
		}
	}
}
