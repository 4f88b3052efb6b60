// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/pull-access/pull-access-operator/hack/gcpproxy"
)

// throughProxy returns the transport of a client that uses Google's names only.
func throughProxy(t *testing.T, e *Emulator) (*gcpproxy.Proxy, http.RoundTripper) {
	t.Helper()
	proxy, err := gcpproxy.Start(e.Handler())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(proxy.Authority())
	transport := &http.Transport{
		Proxy: http.ProxyURL(proxy.URL()), TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return proxy, transport
}

// TestCrane reads images with crane's code, by their real names over TLS and by the emulator's own address.
func TestCrane(t *testing.T) {
	e, _ := newEmulator(t)
	e.AddRepository(Repository{Project: "acme", Location: "europe", Name: "eu.gcr.io"})
	for _, repository := range []string{services, "projects/acme/locations/europe/repositories/eu.gcr.io"} {
		e.SetPolicy(repository, policyOf(reader, "serviceAccount:"+node))
	}
	if err := e.PushImage("eu.gcr.io/acme/team/app:2.0"); err != nil {
		t.Fatal(err)
	}
	proxy, transport := throughProxy(t, e)
	for image, tag := range map[string]string{
		registryDomain + "/acme/services/app":                                               "1.0",
		"docker.us-central1.rep.pkg.dev/acme/services/app":                                  "1.0",
		"eu.gcr.io/acme/team/app":                                                           "2.0",
		"europe-docker.pkg.dev/acme/eu.gcr.io/team/app":                                     "2.0",
		strings.TrimPrefix(e.URL(), "http://") + "/acme/services/app":                       "1.0",
		strings.Replace(e.URL(), "http://127.0.0.1", "localhost", 1) + "/acme/services/app": "1.0",
	} {
		t.Run(image, func(t *testing.T) {
			through := crane.WithTransport(transport)
			if strings.Contains(image, e.URL()[len("http://127.0.0.1"):]) {
				through = crane.WithTransport(http.DefaultTransport)
			}
			as := func(password string) []crane.Option {
				return []crane.Option{through, crane.WithAuth(&authn.Basic{Username: "oauth2accesstoken", Password: password})}
			}
			member := as(e.Token(node))
			tags, err := crane.ListTags(image, member...)
			if diff := cmp.Diff([]string{tag}, tags); diff != "" {
				t.Errorf("tags (-want +got), %v:\n%s", err, diff)
			}
			pulled, err := crane.Pull(image+":"+tag, member...)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(pulled); err != nil {
				t.Error(err)
			}
			repository, _, _ := strings.Cut(image, "/app")
			for name, tc := range map[string]struct {
				image   string
				options []crane.Option
				want    string
			}{
				"anonymous":            {image + ":" + tag, []crane.Option{through, crane.WithAuth(authn.Anonymous)}, "DENIED: Unauthenticated request."},
				"no member":            {image + ":" + tag, as(e.Token(admin)), "DENIED: Permission"},
				"invalid token":        {image + ":" + tag, as("of nobody"), "UNAUTHORIZED: authentication failed"},
				"missing tag":          {image + ":none", member, "MANIFEST_UNKNOWN"},
				"image name forgotten": {repository + ":" + tag, as(e.Token(admin)), "DENIED: Permission"},
			} {
				if _, err := crane.Digest(tc.image, tc.options...); err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%s: got %v, want %q", name, err, tc.want)
				}
			}
		})
	}
	if refused := proxy.Refused(); len(refused) != 0 {
		t.Errorf("crane asked for %v", refused)
	}
}
