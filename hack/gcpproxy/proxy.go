// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gcpproxy routes Google's host names to a stand-in on this machine, so that tests run a program as in production:
// with Google's names, over TLS.
//
// It is a forward proxy on loopback. It accepts tunnels to Google's hosts only, terminates TLS with certificates of its
// own authority and passes each request to the stand-in. It connects to no other machine.
package gcpproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is one request through a tunnel. It does not contain the token.
type Request struct {
	// Host is the host of the tunnel.
	Host string
	// Method and Path are the HTTP method and path.
	Method, Path string
	// Bearer reports whether the request has a bearer token.
	Bearer bool
	// Reason is the header X-Goog-Request-Reason.
	Reason string
}

// Proxy is a running proxy. It is safe for concurrent use.
type Proxy struct {
	address   string
	authority *authority
	standIn   http.Handler
	tunnels   *tunnels
	servers   [2]*http.Server
	running   sync.WaitGroup

	mu       sync.Mutex
	requests []Request
	refused  []string
}

// Start starts a proxy on a free port of 127.0.0.1. The stand-in receives each request with the requested host and the state
// of the TLS connection. The caller must call Close.
func Start(standIn http.Handler) (*Proxy, error) {
	authority, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	p := &Proxy{address: listener.Addr().String(), authority: authority, standIn: standIn, tunnels: newTunnels(listener.Addr())}
	silent := log.New(io.Discard, "", 0) // A client that does not trust the authority reports that itself.
	front := &http.Server{Handler: http.HandlerFunc(p.connect), ReadHeaderTimeout: 10 * time.Second, ErrorLog: silent}
	inner := &http.Server{
		Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: 10 * time.Second, ErrorLog: silent,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.certificate},
	}
	p.servers = [2]*http.Server{front, inner}
	p.running.Go(func() { _ = front.Serve(listener) }) // Both return after Close.
	p.running.Go(func() { _ = inner.ServeTLS(p.tunnels, "", "") })
	return p, nil
}

// Close stops the proxy and closes all tunnels.
func (p *Proxy) Close() error {
	err := errors.Join(p.servers[0].Close(), p.servers[1].Close())
	p.running.Wait()
	if err != nil {
		return fmt.Errorf("close the proxy: %w", err)
	}
	return nil
}

// URL is the proxy's address.
func (p *Proxy) URL() *url.URL { return &url.URL{Scheme: "http", Host: p.address} }

// Authority returns the PEM certificate that a client must trust.
func (p *Proxy) Authority() []byte { return p.authority.pem }

// Environment returns the variables that send a program's calls through the proxy. It supports Go programs and gcloud, which reads
// the authority from other variables. It writes the authority into dir, which the caller must remove.
func (p *Proxy) Environment(dir string) ([]string, error) {
	file := filepath.Join(dir, "proxy-authority.pem")
	if err := os.WriteFile(file, p.Authority(), 0o600); err != nil {
		return nil, fmt.Errorf("write the proxy's authority: %w", err)
	}
	return []string{
		"HTTPS_PROXY=" + p.URL().String(), "HTTP_PROXY=" + p.URL().String(), "NO_PROXY=127.0.0.1,localhost",
		"SSL_CERT_FILE=" + file, "REQUESTS_CA_BUNDLE=" + file, "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE=" + file,
	}, nil
}

// Requests returns the requests through the tunnels so far.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Refused returns the addresses that the proxy rejected.
func (p *Proxy) Refused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refused)
}

// isGoogle reports whether the proxy imitates the host.
func isGoogle(host string) bool {
	return host == "gcr.io" || slices.ContainsFunc([]string{".googleapis.com", ".pkg.dev", ".gcr.io"}, func(domain string) bool {
		return strings.HasSuffix(host, domain)
	})
}

// connect opens a tunnel.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect || err != nil || port != "443" || !isGoogle(host) {
		p.mu.Lock()
		p.refused = append(p.refused, r.Host)
		p.mu.Unlock()
		http.Error(w, "this proxy serves Google's hosts on port 443 only", http.StatusForbidden)
		return
	}
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	// The client sends data only after this response, so nothing is buffered yet.
	if _, err := io.WriteString(connection, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil || !p.tunnels.add(connection) {
		_ = connection.Close()
	}
}

// certificate returns the certificate of the host that a client names in the handshake.
func (p *Proxy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if !isGoogle(hello.ServerName) {
		return nil, fmt.Errorf("there is no certificate for %q", hello.ServerName)
	}
	return p.authority.certificate(hello.ServerName)
}

// serve records a request and passes it to the stand-in.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	p.mu.Lock()
	p.requests = append(p.requests, Request{
		Host: r.TLS.ServerName, Method: r.Method, Path: r.URL.Path,
		Bearer: strings.EqualFold(scheme, "Bearer"), Reason: r.Header.Get("X-Goog-Request-Reason"),
	})
	p.mu.Unlock()
	if r.Host != r.TLS.ServerName {
		http.Error(w, "the tunnel leads to another host", http.StatusMisdirectedRequest)
		return
	}
	p.standIn.ServeHTTP(w, r)
}
