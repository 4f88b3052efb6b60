// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"strings"
	"testing"
)

// What a text is about may have any name, and tools put any frame around it: the
// cause and the repair stay.
func TestTextsOfRuntimesRenamed(t *testing.T) {
	renames := map[string]*strings.Replacer{
		"another location": strings.NewReplacer("us-central1", "asia-northeast1", "us-west1", "asia-northeast1", "us-east1", "asia-northeast1"),
		"another host":     strings.NewReplacer("us.gcr.io", "asia.gcr.io", "eu.gcr.io", "asia.gcr.io", "quay.io", "registry.example", "ghcr.io", "containers.example:5000"),
		"another project":  strings.NewReplacer("acme-prod-417", "denied-403", "acme-eu", "unauthorized", "acme-legacy", "not-found-404", "acme-newproj-55", "tls-x509"),
		"a project of a domain": strings.NewReplacer("projects/acme-prod-417/", "projects/example.com:prod/", "repository%3Aacme-prod-417%2F", "repository%3Aexample.com%2Fprod%2F",
			"/acme-prod-417/", "/example.com/prod/"),
		"other numbers": strings.NewReplacer("34.", "403.", ":443:", ":404:", "10.0.0.1", "5.0.3.5"),
	}
	for name, rename := range renames {
		changed := 0
		for _, l := range readTexts(t) {
			message, image := rename.Replace(l.text.Message), rename.Replace(l.text.Image)
			if message == l.text.Message || l.cause == InvalidReference {
				continue
			}
			changed++
			before, after := Classify(l.text), Classify(Text{Message: message, Image: image, Reason: l.text.Reason})
			if after.Cause != before.Cause || after.Repairable() != before.Repairable() || after.CredentialSent != before.CredentialSent {
				t.Errorf("%s: %s: %s, repairable %v, on %q; was %s, %v\n%s", name, l.name, after.Cause, after.Repairable(), after.Evidence, before.Cause, before.Repairable(), message)
			}
		}
		if changed == 0 {
			t.Errorf("%s: no text was changed", name)
		}
	}
}

// The frames of kubelets and runtimes may change places, and be there or not.
func TestTextsOfRuntimesReframed(t *testing.T) {
	for _, l := range readTexts(t) {
		bare := l.text.Message
		if _, rest, ok := strings.Cut(bare, `": `); ok && strings.HasPrefix(bare, "Failed to pull image ") {
			bare = rest
		}
		quoted := `"` + l.text.Image + `"`
		frames := map[string]string{
			"an event":             "Failed to pull image " + quoted + ": " + bare,
			"an event, aggregated": combined + "Failed to pull image " + quoted + ": " + bare,
			"kubectl describe":     "spec.containers{app}: Failed to pull image " + quoted + ": " + bare,
			"a status":             bare,
			"a status since 1.32":  "Back-off pulling image " + quoted + ": ErrImagePull: " + bare,
			"gRPC's own words":     "Failed to pull image " + quoted + ": rpc error: code = Unknown desc = " + bare,
			"twice the same":       "[" + bare + ", " + bare + "]",
		}
		want := Classify(l.text)
		for name, message := range frames {
			got := Classify(Text{Message: message, Image: l.text.Image, Reason: l.text.Reason})
			if got.Cause != want.Cause || got.Repairable() && !want.Repairable() {
				t.Errorf("%s: as %s it is %s on %q, repairable %v; was %s\n%s", l.name, name, got.Cause, got.Evidence, got.Repairable(), want.Cause, message)
			}
		}
	}
}

// A status of the same kind is the same cause; one of another kind is another.
func TestTextsOfRuntimesWithOtherStatus(t *testing.T) {
	of := map[string]Cause{
		"500 Internal Server Error": RegistryUnavailable, "502 Bad Gateway": RegistryUnavailable, "504 Gateway Timeout": RegistryUnavailable,
		"429 Too Many Requests": RateLimited, "404 Not Found": ImageNotFound, "401 Unauthorized": Unauthenticated, "407 Proxy Authentication Required": Network,
	}
	changed := 0
	for _, l := range readTexts(t) {
		if strings.Count(l.text.Message, "503 Service Unavailable") != 1 || Classify(l.text).Evidence != "503 Service Unavailable" {
			continue // The registry's own words say what it is.
		}
		for status, want := range of {
			changed++
			if want == ImageNotFound && google(l.text.Image) && strings.Contains(l.text.Message, " token: ") {
				want = RepositoryNotFound // Of a token's repository.
			}
			message := strings.Replace(l.text.Message, "503 Service Unavailable", status, 1)
			if got := Classify(Text{Message: message, Image: l.text.Image, Reason: l.text.Reason}); got.Cause != want || got.Repairable() {
				t.Errorf("%s with %s: %s on %q, want %s\n%s", l.name, status, got.Cause, got.Evidence, want, message)
			}
		}
	}
	if changed == 0 {
		t.Error("no text was changed")
	}
}
