// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"net/http"
	"slices"
	"time"

	"github.com/pull-access/pull-access-operator/hack/cluster"
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

// Requests are all that the user has asked for of objects since then, by the audit log at path. A watch stands there once it
// has ended.
func Requests(path, user string, since time.Time) ([]Request, error) {
	events, err := cluster.AuditEvents(path, user)
	if err != nil {
		return nil, err
	}
	var all []Request
	for _, e := range events {
		o := e.ObjectRef
		if o == nil || o.Resource == "" || e.RequestReceivedTimestamp.Before(since) {
			continue
		}
		resource := o.Resource
		if o.APIGroup != "" {
			resource += "." + o.APIGroup
		}
		if o.Subresource != "" {
			resource += "/" + o.Subresource
		}
		all = append(all, Request{
			User: user, Verb: e.Verb, Resource: resource, Namespace: o.Namespace, Name: o.Name,
			Status: e.ResponseStatus.Code, Time: e.RequestReceivedTimestamp,
		})
	}
	return all, nil
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
