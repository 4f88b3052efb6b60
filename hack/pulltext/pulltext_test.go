// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pulltext

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

const (
	refusal  = "failed to authorize: failed to fetch oauth token: unexpected status from GET request to http://127.0.0.1:38811/v2/token?service=us-central1-docker.pkg.dev: 403 Forbidden"
	nameless = "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to http://127.0.0.1:38811/v2/token?service=us-central1-docker.pkg.dev: 403 Forbidden"
)

func TestCheck(t *testing.T) {
	elsewhere, _ := OtherImage(gcpemulator.TokenDenied)
	for name, tc := range map[string]struct {
		text Text
		want string
		why  string
	}{
		"right":      {text: Text{Fault: gcpemulator.TokenDenied, Message: refusal}, why: "an identity was refused"},
		"hidden":     {text: Text{Fault: gcpemulator.TokenVPCServiceControls, Message: refusal}, why: "the text is the one of a missing permission"},
		"elsewhere":  {text: Text{Fault: gcpemulator.TokenDenied, Image: elsewhere, Message: refusal}, why: "no grant opens another registry"},
		"nobody":     {text: Text{Fault: gcpemulator.TokenDeniedAnonymous, Message: nameless}, why: "no credential was sent"},
		"wrong":      {text: Text{Fault: gcpemulator.TagMissing, Message: refusal}, want: "cause PermissionDenied", why: "another fault was played"},
		"repair":     {text: Text{Fault: gcpemulator.BlobStorageDenied, Message: refusal}, want: "repairable is true, want false", why: "it was not the registry that refused"},
		"no repair":  {text: Text{Fault: gcpemulator.TokenDenied, Message: "Unexpected: 403 Forbidden, upstream"}, want: "repairable is false, want true", why: "a text that a grant would heal"},
		"credential": {text: Text{Fault: gcpemulator.TokenDeniedAnonymous, Message: refusal}, want: "credential sent is Yes, want No", why: "the pull was anonymous"},
		"no image":   {text: Text{Fault: gcpemulator.TokenDenied, Image: "::", Message: refusal}, want: "::", why: "the image is none"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.text.Image == "" {
				tc.text.Image = GoogleImage(tc.text.Fault)
			}
			err := tc.text.Check()
			if tc.want == "" && err != nil {
				t.Errorf("%v, want no error: %s", err, tc.why)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want one that says %q: %s", err, tc.want, tc.why)
			}
		})
	}
}

// TestRefusedIsThatOfRealNodes compares with what was read from a kubelet and a containerd.
func TestRefusedIsThatOfRealNodes(t *testing.T) {
	corpus, err := os.ReadFile("../../internal/pullfailure/testdata/containerd/PermissionDenied.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(corpus), "\n")
	const image = "us-west1-docker.pkg.dev/acme-prod-417/services/checkout:1.8.2"
	for _, said := range []string{Refused(image), BackOff(image)} {
		if !slices.Contains(lines, said) {
			t.Errorf("%q is none of the texts of real nodes", said)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "texts")
	var book Book
	for _, message := range []string{
		`read tcp 127.0.0.1:41234->127.0.0.1:38811: connection reset by peer`,
		`read tcp 127.0.0.1:41299->127.0.0.1:38811: connection reset by peer`,
		`dial tcp 127.0.0.1:1: connect: connection refused`,
	} {
		book.Add(Text{Fault: gcpemulator.ConnectionReset, Image: "a/b:1", Reason: "Failed", Message: message})
	}
	book.Add(Text{Fault: gcpemulator.TLSExpired, Image: "a/b:1", Reason: "Failed", Message: "current time 2031-01-02T03:04:05Z is after 2030-01-02T03:04:05Z"})
	for range 2 { // The second time it finds its own files.
		if err := book.Write(dir, "2.4.2"); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		"Network.txt": "== connection-reset | 2.4.2 | Failed | a/b:1\ndial tcp 127.0.0.1:1: connect: connection refused\n" +
			"== connection-reset | 2.4.2 | Failed | a/b:1\nread tcp 127.0.0.1:50000->127.0.0.1:5000: connection reset by peer\n",
		"TLS.txt": "== tls-expired | 2.4.2 | Failed | a/b:1\ncurrent time 2026-11-20T10:00:00Z is after 2026-11-19T10:00:00Z\n",
	} {
		got, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}
