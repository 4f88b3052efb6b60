// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package cluster

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// testRegistry is a registry that asks for a token, and gives one only to those who may pull.
type testRegistry struct {
	url     string
	content http.Handler

	mu sync.Mutex
	// readers are the accounts that may pull from a repository; public ones need none.
	readers map[string]map[string]bool
	public  map[string]bool
	// hosts are the registry hosts that pulls named, resolved how often each repository's image was asked for.
	hosts    map[string]bool
	resolved map[string]int
}

func startTestRegistry(t *testing.T) *testRegistry {
	t.Helper()
	r := &testRegistry{
		content: registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		readers: map[string]map[string]bool{}, public: map[string]bool{},
		hosts: map[string]bool{}, resolved: map[string]int{},
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *testRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if host := req.URL.Query().Get("ns"); host != "" {
		r.mu.Lock()
		r.hosts[host] = true
		r.mu.Unlock()
	}
	if req.URL.Path == "/v2/token" {
		r.serveToken(w, req)
		return
	}
	repository := strings.TrimPrefix(path.Dir(path.Dir(req.URL.Path)), "/v2/")
	if req.Header.Get("Authorization") != "Bearer may-pull:"+repository {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/v2/token",service="test",scope="repository:%s:pull"`, r.url, repository))
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"no credential"}]}`, http.StatusUnauthorized)
		return
	}
	if req.Method == http.MethodHead && path.Base(path.Dir(req.URL.Path)) == "manifests" {
		r.mu.Lock()
		r.resolved[repository]++
		r.mu.Unlock()
	}
	r.content.ServeHTTP(w, req)
}

func (r *testRegistry) serveToken(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet {
		http.NotFound(w, req)
		return
	}
	parts := strings.Split(req.URL.Query().Get("scope"), ":")
	if len(parts) != 3 {
		http.Error(w, "scope", http.StatusBadRequest)
		return
	}
	user, account, _ := req.BasicAuth()
	r.mu.Lock()
	allowed := r.public[parts[1]] || user == "oauth2accesstoken" && r.readers[parts[1]][account]
	r.mu.Unlock()
	if !allowed {
		http.Error(w, `{"errors":[{"code":"DENIED","message":"no"}]}`, http.StatusForbidden)
		return
	}
	fmt.Fprintf(w, `{"token":"may-pull:%s"}`, parts[1])
}

func (r *testRegistry) allow(repository, account string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.readers[repository] == nil {
		r.readers[repository] = map[string]bool{}
	}
	r.readers[repository][account] = true
}

func (r *testRegistry) sawHost(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hosts[host]
}

func (r *testRegistry) resolves(repository string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resolved[repository]
}

// push stores the image past the guard.
func (r *testRegistry) push(t *testing.T, repository, tag string, image v1.Image) {
	t.Helper()
	inner := httptest.NewServer(r.content)
	defer inner.Close()
	ref, err := name.ParseReference(strings.TrimPrefix(inner.URL, "http://")+"/"+repository+":"+tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
}

// startMetadata serves the token of one account, which is the account's own name.
func startMetadata(t *testing.T, account string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Metadata-Flavor") != "Google" {
			http.Error(w, "flavor", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":3599,"token_type":"Bearer"}`, account)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
