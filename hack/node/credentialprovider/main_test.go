// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const asked = `{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":"%HOST%/p/r/i:1"}`

// metadata answers as the metadata server does: only to those who ask in its own way.
func metadata(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != tokenPath || r.Header.Get("Metadata-Flavor") != "Google" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestProvide(t *testing.T) {
	server := httptest.NewServer(metadata(http.StatusOK, `{"access_token":"node-token","expires_in":3599,"token_type":"Bearer"}`))
	defer server.Close()

	for _, host := range []string{"us-central1-docker.pkg.dev", "docker.us-central1.rep.pkg.dev", "gcr.io", "eu.gcr.io"} {
		t.Run(host, func(t *testing.T) {
			var out bytes.Buffer
			if err := provide(t.Context(), strings.NewReader(strings.ReplaceAll(asked, "%HOST%", host)), &out, server.URL+"/"); err != nil {
				t.Fatalf("provide: %v", err)
			}
			var got response
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("answer is no JSON: %v", err)
			}
			if got.APIVersion != apiVersion || got.Kind != "CredentialProviderResponse" || got.CacheKeyType != "Image" || got.CacheDuration != "0s" {
				t.Errorf("answer = %+v, want a CredentialProviderResponse that is kept for this image and no time", got)
			}
			want := credential{Username: "oauth2accesstoken", Password: "node-token"}
			for _, pattern := range []string{host, "*.pkg.dev", "gcr.io", "*.gcr.io"} {
				if got.Auth[pattern] != want {
					t.Errorf("credential for %s = %+v, want %+v", pattern, got.Auth[pattern], want)
				}
			}
		})
	}
}

func TestProvideRefuses(t *testing.T) {
	good := strings.ReplaceAll(asked, "%HOST%", "gcr.io")
	for name, tc := range map[string]struct {
		in      string
		answer  http.HandlerFunc
		wantErr string
	}{
		"empty input":            {"", metadata(200, `{"access_token":"secret"}`), "read kubelet's request"},
		"another API version":    {strings.ReplaceAll(good, "/v1", "/v1alpha1"), metadata(200, `{"access_token":"secret"}`), "is not known here"},
		"no image":               {strings.ReplaceAll(good, "gcr.io/p/r/i:1", ""), metadata(200, `{"access_token":"secret"}`), "names no image"},
		"node without account":   {good, metadata(404, "secret"), "it answers 404 Not Found"},
		"answer is no JSON":      {good, metadata(200, "secret"), "no JSON object"},
		"answer without a token": {good, metadata(200, `{"token_type":"secret"}`), "no access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.answer)
			defer server.Close()
			var out bytes.Buffer
			err := provide(t.Context(), strings.NewReader(tc.in), &out, server.URL)
			if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
				t.Fatalf("error = %v, want one that says %q", err, tc.wantErr)
			}
			if out.Len() > 0 || strings.Contains(err.Error(), "secret") {
				t.Errorf("wrote %q and said %q: nothing of the server's answer may get out", out.String(), err)
			}
		})
	}
}

func TestProvideUnreachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	var out bytes.Buffer
	err := provide(t.Context(), strings.NewReader(strings.ReplaceAll(asked, "%HOST%", "gcr.io")), &out, server.URL)
	if err == nil || !strings.Contains(err.Error(), "ask the metadata server") {
		t.Errorf("error = %v, want one that names the metadata server", err)
	}
}
