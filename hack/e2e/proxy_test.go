// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// proxy stands between an operator and the API server, so that a test can stop the operator between two lines of its code:
// with a request about to arrive, or done and its answer about to arrive.
type proxy struct {
	url       string
	authority []byte
	forward   http.Handler

	mu    sync.Mutex
	gates []*gate
	// meddle sees every request before it is matched; it may answer it itself, and then returns nil, or pass on another. It
	// is nil where nobody meddles.
	meddle func(http.ResponseWriter, *http.Request) *http.Request
}

// gate holds up every request that it matches.
type gate struct {
	// method and path are those of the request; path may be a part, and body a part of what is sent.
	method, path, body string
	// about is what the path or what is sent names besides, for a gate of one site among several; empty is every site.
	about string
	// after lets the request pass and holds up the answer.
	after bool

	arrive  sync.Once
	reached chan struct{}
	release chan struct{}
}

// anew is a gate like this one, which has not served yet.
func (g *gate) anew() *gate {
	return &gate{method: g.method, path: g.path, body: g.body, about: g.about, after: g.after}
}

// newProxy starts a proxy that ends with the test. Credentials pass through it.
func newProxy(t *testing.T) *proxy {
	t.Helper()
	target, err := url.Parse(shared.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(shared.Config))
	if err != nil {
		t.Fatal(err)
	}
	silent := log.New(io.Discard, "", 0) // A killed operator leaves its connections, and so does an API server that is stopped.
	p := &proxy{forward: &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // Watches are streams.
		ErrorLog:      silent,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	// Over plain HTTP a client sends no token.
	server := httptest.NewUnstartedServer(p)
	server.Config.ErrorLog = silent
	server.StartTLS()
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(func() { p.hold() })
	p.url = server.URL
	p.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return p
}

// kubeconfig is the operator's own, by way of the proxy.
func (p *proxy) kubeconfig(t *testing.T) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(shared.operator)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range config.Clusters {
		c.Server, c.CertificateAuthorityData = p.url, p.authority
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// hold sets the gates, and lets go what earlier ones hold up. A gate serves once.
func (p *proxy) hold(gates ...*gate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.gates {
		close(g.release)
	}
	p.gates = nil
	for _, g := range gates {
		p.set(g)
	}
}

// holdToo sets one gate more.
func (p *proxy) holdToo(g *gate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(g)
}

// set needs p.mu.
func (p *proxy) set(g *gate) {
	g.reached, g.release = make(chan struct{}), make(chan struct{})
	p.gates = append(p.gates, g)
}

// open takes one gate away, and lets go what it holds up.
func (p *proxy) open(g *gate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := slices.Index(p.gates, g); at >= 0 {
		p.gates = slices.Delete(p.gates, at, at+1)
		close(g.release)
	}
}

// isReached tells whether a request has come to the gate.
func (g *gate) isReached() bool {
	select {
	case <-g.reached:
		return true
	default:
		return false
	}
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	meddle := p.meddle
	p.mu.Unlock()
	if meddle != nil {
		if r = meddle(w, r); r == nil {
			return
		}
	}
	g := p.match(r)
	if g == nil {
		p.forward.ServeHTTP(w, r)
		return
	}
	if !g.after {
		g.arrive.Do(func() { close(g.reached) })
		if g.wait(r) {
			p.forward.ServeHTTP(w, r)
		}
		return
	}
	answer := httptest.NewRecorder()
	p.forward.ServeHTTP(answer, r)
	g.arrive.Do(func() { close(g.reached) })
	if g.wait(r) {
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}
}

// wait tells whether the gate was opened; it was not when the operator left before.
func (g *gate) wait(r *http.Request) bool {
	select {
	case <-g.release:
		return true
	case <-r.Context().Done():
		return false
	}
}

// match returns the gate if this is a request that it waits for.
func (p *proxy) match(r *http.Request) *gate {
	if r.Method == http.MethodGet {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.gates {
		if g.matches(r, string(body)) {
			return g
		}
	}
	return nil
}

func (g *gate) matches(r *http.Request, body string) bool {
	return r.Method == g.method && strings.Contains(r.URL.Path, g.path) && strings.Contains(body, g.body) &&
		(strings.Contains(r.URL.Path, g.about) || strings.Contains(body, g.about))
}
