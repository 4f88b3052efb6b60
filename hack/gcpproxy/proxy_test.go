// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpproxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func startProxy(t *testing.T) *Proxy {
	t.Helper()
	p, err := Start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s over TLS %t by HTTP/%d", r.Host, r.URL.Path, r.TLS != nil, r.ProtoMajor)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// client returns a client that uses the proxy, and trusts its authority if trusting is
// true.
func client(t *testing.T, p *Proxy, trusting bool) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if trusting && !roots.AppendCertsFromPEM(p.Authority()) {
		t.Fatal("the authority is no certificate")
	}
	transport := &http.Transport{
		Proxy: http.ProxyURL(p.URL()), TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func fetch(t *testing.T, c *http.Client, url string, header http.Header) (status int, body string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	response, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, string(data), err
}

func TestGooglesHostsReachTheStandIn(t *testing.T) {
	p := startProxy(t)
	if host, _, err := net.SplitHostPort(p.URL().Host); err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("the proxy is at %s, want loopback", p.URL())
	}
	c := client(t, p, true)
	var want []Request
	for _, host := range []string{"artifactregistry.googleapis.com", "us-central1-docker.pkg.dev", "docker.us-central1.rep.pkg.dev", "gcr.io", "eu.gcr.io"} {
		header := http.Header{"Authorization": {"Bearer secret"}, "X-Goog-Request-Reason": {"why"}}
		status, body, err := fetch(t, c, "https://"+host+"/v1/x", header)
		if answer := host + " /v1/x over TLS true by HTTP/2"; err != nil || status != http.StatusOK || body != answer {
			t.Errorf("%s: %d %q %v, want %q", host, status, body, err, answer)
		}
		want = append(want, Request{Host: host, Method: http.MethodGet, Path: "/v1/x", Bearer: true, Reason: "why"})
	}
	if _, _, err := fetch(t, c, "https://gcr.io/v2/", http.Header{}); err != nil {
		t.Error(err)
	}
	want = append(want, Request{Host: "gcr.io", Method: http.MethodGet, Path: "/v2/"})
	if diff := cmp.Diff(want, p.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if refused := p.Refused(); len(refused) != 0 {
		t.Errorf("refused: %v", refused)
	}
}

// TestOtherHostsAreRefused checks that the proxy rejects and records other hosts.
func TestOtherHostsAreRefused(t *testing.T) {
	p := startProxy(t)
	c := client(t, p, true)
	for _, url := range []string{
		"https://example.com/", "https://googleapis.com.example.com/", "https://notgcr.io/", "https://compute.googleapis.com:8443/",
		"http://compute.googleapis.com/",
	} {
		if status, body, err := fetch(t, c, url, http.Header{}); err == nil && status != http.StatusForbidden {
			t.Errorf("%s: %d %q, want a refusal", url, status, body)
		}
	}
	want := []string{"example.com:443", "googleapis.com.example.com:443", "notgcr.io:443", "compute.googleapis.com:8443", "compute.googleapis.com"}
	if diff := cmp.Diff(want, p.Refused()); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if requests := p.Requests(); len(requests) != 0 {
		t.Errorf("requests reached the stand-in: %+v", requests)
	}
}

// TestTunnelsLeadToOneHost checks that a client cannot call one host through another host's
// tunnel.
func TestTunnelsLeadToOneHost(t *testing.T) {
	p := startProxy(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://iam.googleapis.com/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "compute.googleapis.com"
	response, err := client(t, p, true).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("status %d, want 421", response.StatusCode)
	}
}

func TestTheAuthorityMustBeTrusted(t *testing.T) {
	p := startProxy(t)
	if _, _, err := fetch(t, client(t, p, false), "https://iam.googleapis.com/", http.Header{}); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("got %v, want a certificate by an unknown authority", err)
	}
	environment, err := p.Environment(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range environment {
		if file, ok := strings.CutPrefix(variable, "SSL_CERT_FILE="); ok {
			if data, err := os.ReadFile(file); err != nil || string(data) != string(p.Authority()) {
				t.Errorf("%s holds %q: %v", file, data, err)
			}
			return
		}
	}
	t.Errorf("%v names no certificates", environment)
}
