// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"slices"
	"sync"
)

// Request is one request as the emulator saw it. It holds no token and no policy.
type Request struct {
	// Method is the API's method: Artifact Registry's in capitals ("GetRepository",
	// "SetIamPolicy"), others by their kind ("instances.get", "projects.getIamPolicy"),
	// for the registry "ping", "token", "manifest", "blob" or "tags", else "metadata" or "unknown".
	Method string
	// Resource is the resource name, or HOST/PATH[:TAG|@DIGEST] for the registry.
	Resource string
	// Status is the HTTP status answered; 0 while there is none, and after a reset.
	Status int
	// Reason is what x-goog-request-reason said.
	Reason string
	// Caller is the email that the credential belongs to, empty without a valid one.
	Caller string
}

// requestLog keeps requests in the order of their arrival.
type requestLog struct {
	mu      sync.Mutex
	entries []Request
}

// Requests returns what was asked so far, in order of arrival.
func (e *Emulator) Requests() []Request {
	e.requests.mu.Lock()
	defer e.requests.mu.Unlock()
	return slices.Clone(e.requests.entries)
}

// open records a request and returns how to note its status. A request is there
// before its answer leaves, so a client that has the answer finds it.
func (l *requestLog) open(r Request) (answered func(status int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, r)
	at := len(l.entries) - 1
	return func(status int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.entries[at].Status = status
	}
}
