// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Request is one request to the API server, as its audit log tells it.
type Request struct {
	User, Verb string
	// Resource is RESOURCE.GROUP/SUBRESOURCE, without the parts that are empty.
	Resource        string
	Namespace, Name string
	// Status is the HTTP status of the answer.
	Status int
	// Time is when it arrived.
	Time time.Time
}

// Writes tells whether the request was to change something.
func (r Request) Writes() bool {
	return slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, r.Verb)
}

// Kind is "read" or "write", the verb and the resource.
func (r Request) Kind() string {
	access := "read"
	if r.Writes() {
		access = "write"
	}
	return access + " " + r.Verb + " " + r.Resource
}

// Conflict tells whether it was refused because somebody else wrote first.
func (r Request) Conflict() bool { return r.Status == http.StatusConflict }

// auditEvent is the part of an audit event that is read.
type auditEvent struct {
	Verb      string `json:"verb"`
	User      struct{ Username string }
	ObjectRef *struct{ APIGroup, Resource, Subresource, Namespace, Name string }
	// ResponseStatus is that of the answer.
	ResponseStatus           struct{ Code int }
	RequestReceivedTimestamp time.Time
}

// Requests reads the audit log at path, and what it was rotated to: all that the user has asked for of objects since then. A
// watch stands there once it has ended.
func Requests(path, user string, since time.Time) ([]Request, error) {
	extension := filepath.Ext(path)
	files, err := filepath.Glob(strings.TrimSuffix(path, extension) + "*" + extension)
	if err != nil {
		return nil, fmt.Errorf("find the audit log: %w", err)
	}
	var all []Request
	for _, file := range files {
		found, err := requestsIn(file, user, since)
		if err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b Request) int { return a.Time.Compare(b.Time) })
	return all, nil
}

func requestsIn(path, user string, since time.Time) ([]Request, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []Request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		o := e.ObjectRef
		if o == nil || o.Resource == "" || e.User.Username != user || e.RequestReceivedTimestamp.Before(since) {
			continue
		}
		resource := o.Resource
		if o.APIGroup != "" {
			resource += "." + o.APIGroup
		}
		if o.Subresource != "" {
			resource += "/" + o.Subresource
		}
		found = append(found, Request{
			User: user, Verb: e.Verb, Resource: resource, Namespace: o.Namespace, Name: o.Name,
			Status: e.ResponseStatus.Code, Time: e.RequestReceivedTimestamp,
		})
	}
	return found, lines.Err()
}

// BusiestWindow is the largest number of times that lie within one window of that length.
func BusiestWindow(times []time.Time, window time.Duration) int {
	times = slices.SortedFunc(slices.Values(times), time.Time.Compare)
	most, first := 0, 0
	for last, t := range times {
		for t.Sub(times[first]) >= window {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}
