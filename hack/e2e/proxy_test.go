// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

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

	mu   sync.Mutex
	gate *gate
}

// gate holds up every request that it matches.
type gate struct {
	// method and path are those of the request; path may be a part, and body a part of what is sent.
	method, path, body string
	// after lets the request pass and holds up the answer.
	after bool

	arrive  sync.Once
	reached chan struct{}
	release chan struct{}
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
	p := &proxy{forward: &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // Watches are streams.
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	// Over plain HTTP a client sends no token.
	server := httptest.NewUnstartedServer(p)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // A killed operator leaves its connections.
	server.StartTLS()
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(func() { p.hold(nil) })
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

// hold sets the gate, and lets go what an earlier one holds up. A gate serves once.
func (p *proxy) hold(g *gate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate != nil {
		close(p.gate.release)
	}
	p.gate = g
	if g != nil {
		g.reached, g.release = make(chan struct{}), make(chan struct{})
	}
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	g := p.gate
	if g == nil || r.Method != g.method || !strings.Contains(r.URL.Path, g.path) || !strings.Contains(string(body), g.body) {
		return nil
	}
	return g
}
