// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"regexp"
	"testing"
)

// Names of one repository, the first of which says nothing.
const (
	tameName    = "checkout:1.8.2"
	hostileName = "manifest-unknown:403-forbidden"
)

// FuzzImageName puts an image into a text, in the places where runtimes name it: how
// the image is called changes neither the cause nor what can be repaired.
func FuzzImageName(f *testing.F) {
	for _, l := range readTexts(f) {
		f.Add(l.text.Message, uint8(0), uint8(1))
	}
	f.Add(oauth+"403 Forbidden", uint8(1), uint8(2))
	f.Add(nobody+"403 Forbidden", uint8(3), uint8(0))
	hostile := []string{
		hostileName, "unauthorized:not-found", "denied/artifactregistry.repositories.downloadartifacts:404",
		"failed-to-fetch-oauth-token:403", "failed.to.fetch.anonymous.token:401", "toomanyrequests:429",
	}
	places := []func(image, message string) string{
		func(image, message string) string { return `Failed to pull image "` + image + `": ` + message },
		func(image, message string) string {
			return `failed to resolve reference "` + image + `": ` + message
		},
		func(image, message string) string { return message + "\n" + image + ": " + message },
		func(image, message string) string { return message + ` "` + image + `"` },
	}
	f.Fuzz(func(t *testing.T, message string, place, name uint8) {
		const repository = "us-central1-docker.pkg.dev/acme-prod/services/"
		put := places[int(place)%len(places)]
		tame, named := repository+tameName, repository+hostile[int(name)%len(hostile)]
		want := Classify(Text{Message: put(tame, message), Image: tame, Reason: "ErrImagePull"})
		got := Classify(Text{Message: put(named, message), Image: named, Reason: "ErrImagePull"})
		if got.Cause != want.Cause || got.Repairable() != want.Repairable() {
			t.Errorf("named %s it is %s on %q, else %s on %q\n%q", named, got.Cause, got.Evidence, want.Cause, want.Evidence, put(named, message))
		}
	})
}

// refusing finds words by which somebody may tell of a refusal, of this pull or another.
var refusing = regexp.MustCompile(`(?i)40[13]|deni|forbid|permi|auth|access|scope|privilege|allowed`)

// FuzzAnonymous has the runtime say that it sent no credential, whatever a registry
// adds to that. Nobody was refused, so there is no permission to give; it is called
// PermissionDenied only where what was added tells of a refusal too.
func FuzzAnonymous(f *testing.F) {
	for _, l := range readTexts(f) {
		f.Add(l.text.Message)
	}
	for _, lie := range lies {
		f.Add(lie)
	}
	f.Fuzz(func(t *testing.T, message string) {
		for _, status := range []string{"401 Unauthorized", "403 Forbidden"} {
			text := Text{Message: nobody + status + "\n" + message, Image: google1, Reason: "ErrImagePull"}
			if v := Classify(text); v.Repairable() || v.Cause == PermissionDenied && !refusing.MatchString(message) {
				t.Errorf("%s on %q, repairable %v\n%q", v.Cause, v.Evidence, v.Repairable(), text.Message)
			}
		}
	})
}
