// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gcpemulator stands in for Google Cloud in tests and in the demo: Artifact
// Registry's API, Compute Engine's instances, GKE's clusters, projects, roles,
// Policy Troubleshooter and what else gcloud asks on the way, the metadata server
// of a node and the container registry itself, all of them judged by one IAM state.
//
// It listens on loopback only, holds everything in memory, and must never be
// linked into the operator.
package gcpemulator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Emulator is one Google Cloud of its own. It is safe for concurrent use.
type Emulator struct {
	state    *state
	images   *imageStore
	faults   faultList
	requests requestLog

	url     string
	handler http.Handler
	done    chan struct{}

	mu      sync.Mutex
	closed  bool
	servers []*http.Server
	running sync.WaitGroup
}

// Option changes how an Emulator is started.
type Option func(*state)

// WithClock makes propagation and the lapse of tokens follow c instead of the
// wall clock.
func WithClock(c clock.PassiveClock) Option {
	return func(s *state) { s.clock = c }
}

// Start serves an empty Google Cloud on a free port of 127.0.0.1.
func Start(options ...Option) (*Emulator, error) {
	e := &Emulator{state: newState(), images: newImageStore(), done: make(chan struct{})}
	for _, option := range options {
		option(e.state)
	}
	listener, err := listen()
	if err != nil {
		return nil, fmt.Errorf("start the emulator: %w", err)
	}
	e.url = "http://" + listener.Addr().String()
	e.handler = e.routes()
	e.serve(listener, e.handler)
	return e, nil
}

// URL is where Google's APIs are found by their paths, and the registry under /v2/.
func (e *Emulator) URL() string { return e.url }

// Handler serves the same as URL, for a server that clients reach by Google's own names.
// The Host header then names the registry.
func (e *Emulator) Handler() http.Handler { return e.handler }

// Close ends all listeners, metadata servers included, and the requests in
// flight. It may be called more than once.
func (e *Emulator) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	close(e.done)
	var first error
	for _, server := range e.servers {
		if err := server.Close(); err != nil && first == nil {
			first = fmt.Errorf("close the emulator: %w", err)
		}
	}
	e.running.Wait()
	return first
}

// listen takes a free port; the listener's life is the emulator's, not a request's.
func listen() (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
}

// serve answers with handler on listener until Close; it refuses once closed.
func (e *Emulator) serve(listener net.Listener, handler http.Handler) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	e.servers = append(e.servers, server)
	e.running.Go(func() { _ = server.Serve(listener) }) // Returns only once it is closed.
	return true
}
