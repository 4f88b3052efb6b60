// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pull-access/pull-access-operator/hack/bench/kubelet"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// The names in the emulated Google Cloud.
const (
	nodeProject  = "acme-prod-417"
	imageProject = "acme-images-306"
	location     = "us-central1"
	zone         = location + "-a"
	imageHost    = location + "-docker.pkg.dev"
	readerRole   = "roles/artifactregistry.reader"
)

// pools are the node pools, each of an account of its own.
var pools = []string{"general", "batch"}

func accountOf(pool string) string {
	return pool + "-nodes@" + nodeProject + ".iam.gserviceaccount.com"
}

func repositoryOf(i int) string { return fmt.Sprintf("team-%02d", i) }

func resourceOf(repository string) string {
	return "projects/" + imageProject + "/locations/" + location + "/repositories/" + repository
}

func imageOf(repository, name string) string {
	return imageHost + "/" + imageProject + "/" + repository + "/" + name + ":1.8.2"
}

// nodesFor are so many nodes, the pools in turn.
func nodesFor(n int) []kubelet.Node {
	var nodes []kubelet.Node
	for i := range n {
		pool := pools[i%len(pools)]
		// As GKE names the instances of one pool in one zone: they share all but the last part.
		name := fmt.Sprintf("gke-prod-%s-%08x-%04d", pool, crc32.ChecksumIEEE([]byte(pool)), i/len(pools))
		nodes = append(nodes, kubelet.Node{
			Name: name, ProviderID: "gce://" + nodeProject + "/" + zone + "/" + name, Pool: pool, Account: accountOf(pool),
		})
	}
	return nodes
}

// cloud is the emulated Google Cloud behind a door that notes when each call came and went.
type cloud struct {
	*gcpemulator.Emulator
	// URL is the door's.
	URL string

	door  *http.Server
	mu    sync.Mutex
	calls []call
}

// call is one call to Google.
type call struct {
	path       string
	begin, end time.Time
}

func (c call) writes() bool { return strings.HasSuffix(c.path, ":setIamPolicy") }

// startCloud starts a cloud with empty repositories that no node may read, and answers that take latency.
func startCloud(ctx context.Context, repositories int, nodes []kubelet.Node, latency time.Duration) (*cloud, error) {
	google, err := gcpemulator.Start() //nolint:contextcheck // It lives until it is closed, not as long as this call.
	if err != nil {
		return nil, err
	}
	google.AddProject(nodeProject, 417417417417)
	google.AddProject(imageProject, 306306306306)
	for _, pool := range pools {
		google.AddServiceAccount(accountOf(pool))
	}
	for _, node := range nodes {
		google.AddInstance(gcpemulator.Instance{Project: nodeProject, Zone: zone, Name: node.Name, ServiceAccount: node.Account})
	}
	for i := range repositories {
		google.AddRepository(gcpemulator.Repository{Project: imageProject, Location: location, Name: repositoryOf(i)})
	}
	c := &cloud{Emulator: google}
	c.slow(latency)
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, google.Close())
	}
	return c, nil
}

// slow makes every call take latency.
func (c *cloud) slow(latency time.Duration) {
	if latency > 0 {
		c.InjectFault(gcpemulator.Fault{Delay: latency})
	}
}

// open serves the door.
func (c *cloud) open(ctx context.Context) error {
	behind, err := url.Parse(c.Emulator.URL())
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	c.URL = "http://" + listener.Addr().String()
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	c.door = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done := c.note(r.URL.Path)
		defer done()
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = c.door.Serve(listener) }() // Returns only once it is closed.
	return nil
}

// note records a call that has arrived, and returns how to note its end.
func (c *cloud) note(path string) (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := len(c.calls)
	c.calls = append(c.calls, call{path: path, begin: time.Now()})
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls[at].end = time.Now()
	}
}

func (c *cloud) close() {
	// All that a failed close could leave behind ends with this process.
	_ = c.door.Close()
	_ = c.Close()
}

// seen are the calls so far, in order of arrival.
func (c *cloud) seen() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// asked counts the calls of one method by resource, whatever was answered.
func (c *cloud) asked(method string) map[string]int {
	counts := map[string]int{}
	for _, r := range c.Requests() {
		if r.Method == method {
			counts[r.Resource]++
		}
	}
	return counts
}

// methods counts all calls by their method.
func (c *cloud) methods() map[string]int {
	counts := map[string]int{}
	for _, r := range c.Requests() {
		counts[r.Method]++
	}
	return counts
}

// spread is the IAM of the cloud as its registry knows it: a member counts only a while after it was written.
type spread struct {
	cloud *cloud
	delay time.Duration

	mu    sync.Mutex
	known map[string]time.Time // By resource name and member.
}

// follow looks for members that were written, until the context ends.
func (s *spread) follow(ctx context.Context, repositories int) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		for i := range repositories {
			s.look(resourceOf(repositoryOf(i)))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *spread) look(resource string) {
	for _, binding := range s.cloud.Policy(resource).GetBindings() {
		if binding.GetRole() != readerRole {
			continue
		}
		for _, member := range binding.GetMembers() {
			s.mu.Lock()
			if _, old := s.known[resource+" "+member]; !old {
				s.known[resource+" "+member] = time.Now().Add(s.delay)
			}
			s.mu.Unlock()
		}
	}
}

// pulls tells whether the image can be pulled as the account by now.
func (s *spread) pulls(image, account string) bool {
	parts := strings.Split(image, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	from, ok := s.known[resourceOf(parts[2])+" serviceAccount:"+account]
	return ok && !time.Now().Before(from)
}
