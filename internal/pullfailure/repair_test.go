// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"strings"
	"testing"
)

func TestRepairable(t *testing.T) {
	tests := map[string]struct {
		message, image string
		want           bool
		why            string
	}{
		"a token refused to an identity":    {message: oauth + "403 Forbidden", image: google1, want: true},
		"the manifest refused, explained":   {message: frame + head + "403 Forbidden\n" + denial, image: google1, want: true},
		"the manifest refused, unexplained": {message: frame + head + "403 Forbidden", image: google1, want: true},
		"by CRI-O, which names nobody":      {message: "Requesting bearer token: invalid status code from registry 403 (Forbidden)", image: google1, want: true},
		"two identities refused":            {message: "[" + oauth + "403 Forbidden, " + oauth + "403 Forbidden]", image: google1, want: true},
		"with the reason appended":          {message: oauth + "403 Forbidden: ImagePullBackOff", image: google1, want: true},
		"a gcr.io host": {
			message: strings.NewReplacer("acme-prod", "acme", "us-central1", "europe", "repositories/services", "repositories/eu.gcr.io").Replace(denial),
			image:   "eu.gcr.io/acme/worker:1", want: true,
		},
		"a domain-scoped project": {
			message: strings.ReplaceAll(denial, "acme-prod", "example.com:acme-prod"),
			image:   "us-central1-docker.pkg.dev/example.com/acme-prod/services/checkout:1", want: true,
		},

		"by the node's loopback, in the registry's name": {
			message: "failed to fetch oauth token: unexpected status from GET request to http://127.0.0.1:40533/v2/token?scope=repository%3Aacme-prod%2Fservices%2Fcheckout%3Apull&service=us-central1-docker.pkg.dev: 403 Forbidden",
			image:   google1, want: true,
		},
		"the manifest, by the node's loopback": {
			message: frame + "unexpected status from HEAD request to http://[::1]:5000/v2/acme-prod/services/checkout/manifests/1?ns=us-central1-docker.pkg.dev: 403 Forbidden",
			image:   google1, want: true,
		},
		"by the node's loopback, in no name":      {message: frame + "unexpected status from HEAD request to http://127.0.0.1:5000/v2/acme-prod/services/checkout/manifests/1: 403 Forbidden", image: google1, why: "it may be a mirror of its own mind"},
		"by the node's loopback, in another name": {message: frame + "unexpected status from HEAD request to http://127.0.0.1:5000/v2/acme-prod/services/checkout/manifests/1?ns=us-central1-docker.pkg.dev.evil.example: 403 Forbidden", image: google1},

		"nobody asked":                   {message: nobody + "403 Forbidden", image: google1, why: "no identity was refused"},
		"nobody asked, cut in front":     {message: "nymous token: " + token + "403 Forbidden", image: google1, why: "it may have been nobody"},
		"one of two was nobody":          {message: "[" + oauth + "403 Forbidden, " + nobody + "403 Forbidden]", image: google1, why: "the text tells two stories"},
		"one of two was an outage":       {message: "[" + oauth + "403 Forbidden, " + oauth + "503 Service Unavailable]", image: google1, why: "the next try tells more"},
		"no image":                       {message: oauth + "403 Forbidden", why: "nothing can be opened"},
		"a foreign registry":             {message: `denied: access forbidden`, image: "registry.example/acme/app:1"},
		"a foreign registry quotes ours": {message: frame + head + "403 Forbidden\n" + denial, image: "evil.example/acme-prod/services/checkout:1"},
		"a look-alike host":              {message: denial, image: "us-central1-docker.pkg.dev.evil.example/acme-prod/services/checkout:1"},
		"another project is named":       {message: strings.ReplaceAll(denial, "acme-prod", "victim"), image: google1, why: "a grant on the image's own repository would not help"},
		"another repository is named":    {message: strings.ReplaceAll(denial, "repositories/services", "repositories/base"), image: google1},
		"another location is named":      {message: strings.ReplaceAll(denial, "us-central1", "asia-east1"), image: google1},
		"a push":                         {message: strings.ReplaceAll(denial, "downloadArtifacts", "uploadArtifacts"), image: google1},
		"another permission":             {message: strings.ReplaceAll(denial, "downloadArtifacts", "get"), image: google1},
		"an upstream refused":            {message: frame + head + "403 Forbidden\ndenied: Upstream registry quay.io responded with 403 Forbidden", image: google1},
		"a mirror refused":               {message: "unexpected status from HEAD request to https://mirror.example/v2/acme-prod/services/checkout/manifests/1?ns=us-central1-docker.pkg.dev: 403 Forbidden", image: google1},
		"the storage behind refused":     {message: "unexpected status from GET request to https://storage.googleapis.com/artifacts/blob?sig=1: 403 Forbidden", image: google1},
		"a host of containerd 1.6":       {message: "pulling from host mirror.example failed with status code [manifests 1]: 403 Forbidden", image: google1},
		"explained in new words":         {message: frame + head + "403 Forbidden\ndenied: The moon is in the wrong house.", image: google1, why: "the registry says that it is something else"},
		"explained in HTML":              {message: `reading manifest 1 in x: StatusCode: 403, "<!DOCTYPE html>..."`, image: google1},
		"cut within the status":          {message: oauth + "403 Forb", image: google1},
		"cut after the number":           {message: oauth + "403", image: google1},
		"cut after the new line":         {message: frame + head + "403 Forbidden\n", image: google1, why: "the explanation is lost"},
		"cut within the explanation":     {message: frame + head + "403 Forbidden\ndenied: Requ", image: google1},
		"cut within the resource":        {message: denial[:len(denial)-45], image: google1},
		"cut within a list":              {message: oauth + "403 Forbidden]", image: google1, why: "the attempts before it are lost"},
		"left out by somebody":           {message: "failed to pull ... 403 Forbidden", image: google1},
		"too many attempts to weigh":     {message: strings.Repeat(oauth+"403 Forbidden, ", 9) + oauth + "403 Forbidden", image: google1},
		"too long to be read":            {message: strings.Repeat(" ", maxHead+maxTail) + oauth + "403 Forbidden", image: google1},
		"a 401 with the words of a 403":  {message: frame + head + "401 Unauthorized\n" + denial, image: google1, why: "the credential may be no good"},
		"a perimeter":                    {message: frame + head + "403 Forbidden\ndenied: Request is prohibited by organization's policy.", image: google1},
		"a missing image":                {message: "[" + oauth + "403 Forbidden, rpc error: code = NotFound desc = " + google1 + ": not found]", image: google1},
		"no wording of a registry":       {message: "exec /app: permission denied", image: google1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			v := Classify(Text{Message: tc.message, Image: tc.image, Reason: "Failed"})
			if got := v.Repairable(); got != tc.want {
				t.Errorf("Repairable() = %v on %s %+v, want %v: %s", got, v.Cause, v, tc.want, tc.why)
			}
		})
	}
}

func TestZeroVerdictRefuses(t *testing.T) {
	if (Verdict{}).Repairable() || (Verdict{Cause: PermissionDenied, CredentialSent: CredentialYes}).Repairable() {
		t.Error("a verdict that Classify did not make is repairable")
	}
}
