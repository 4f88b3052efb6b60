// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// TestWhoseAPIAndBillingAreOff: Google refuses for the project through which the
// asking account calls in the same words as for the one that holds the repository.
func TestWhoseAPIAndBillingAreOff(t *testing.T) {
	const number = "projects.get"
	for name, tc := range map[string]struct {
		reason, consumer string
		numberStatus     int // What looking up the project's number answers, if not the number.
		want             diagnosis.Obstacle
		lookUps          int
	}{
		"API, by ID":       {reason: "SERVICE_DISABLED", consumer: "projects/acme", want: apiOffFor("projects/acme", diagnosis.APIOff)},
		"API, by number":   {reason: "SERVICE_DISABLED", consumer: "projects/417", want: apiOffFor("projects/417", diagnosis.APIOff), lookUps: 1},
		"API, another":     {reason: "SERVICE_DISABLED", consumer: "projects/home", want: apiOffFor("projects/home", diagnosis.Unreadable)},
		"API, number":      {reason: "SERVICE_DISABLED", consumer: "projects/9", want: apiOffFor("projects/9", diagnosis.Unreadable), lookUps: 1},
		"API, longer":      {reason: "SERVICE_DISABLED", consumer: "projects/4170", want: apiOffFor("projects/4170", diagnosis.Unreadable), lookUps: 1},
		"API, forbidden":   {reason: "SERVICE_DISABLED", consumer: "projects/417", numberStatus: 403, want: apiOffFor("projects/417", diagnosis.Unreadable), lookUps: 1},
		"API, unavailable": {reason: "SERVICE_DISABLED", consumer: "projects/417", numberStatus: 503, want: apiOffFor("projects/417", diagnosis.Unreadable), lookUps: readCalls},
		"API, unnamed":     {reason: "SERVICE_DISABLED", want: diagnosis.Obstacle{Kind: diagnosis.Unreadable, Service: xAPI, Detail: "the API x.googleapis.com is not enabled"}},
		"API, no project":  {reason: "SERVICE_DISABLED", consumer: "acme", want: apiOffFor("acme", diagnosis.Unreadable)},
		"API, nothing":     {reason: "SERVICE_DISABLED", consumer: "projects/", want: apiOffFor("projects/", diagnosis.Unreadable)},
		"billing, by ID":   {reason: "BILLING_DISABLED", consumer: "projects/acme", want: diagnosis.Obstacle{Kind: diagnosis.BillingOff, Consumer: "acme", Detail: "billing is off for projects/acme"}},
		"billing, number": {
			reason: "BILLING_DISABLED", consumer: "projects/417", lookUps: 1,
			want: diagnosis.Obstacle{Kind: diagnosis.BillingOff, Consumer: "417", Detail: "billing is off for projects/417"},
		},
		"billing, another": {
			reason: "BILLING_DISABLED", consumer: "projects/9", lookUps: 1,
			want: diagnosis.Obstacle{Kind: diagnosis.Unreadable, Consumer: "9", Detail: "billing is off for projects/9, through which the asking account calls"},
		},
		"perimeter, another": {
			reason: "SECURITY_POLICY_VIOLATED", consumer: "projects/9",
			want: diagnosis.Obstacle{Kind: diagnosis.Perimeter, Detail: "VPC Service Controls keep the asking account out"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			fault := gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Body: errorInfoFor(tc.reason, tc.consumer)}
			for _, method := range []string{"GetRepository", "GetIamPolicy", "GetTag", "projects.getIamPolicy", "iam.troubleshoot"} {
				fault.Method = method
				g.InjectFault(fault)
			}
			if tc.numberStatus != 0 {
				g.InjectFault(gcpemulator.Fault{Method: number, HTTPStatus: tc.numberStatus})
			}
			client := newClient(t, Options{Endpoint: g.URL(), Clock: g.clock, Troubleshoot: true})
			for n, got := range []diagnosis.Obstacle{
				client.ProjectAccess(t.Context(), services, nodesMember).Obstacle, // By the same API as the number.
				client.Repository(t.Context(), services).Obstacle,
				client.Access(t.Context(), services, nodesMember).Obstacle,
				client.Content(t.Context(), imageref.Image{Repository: services, Package: "app", Tag: "v1"}).Obstacle,
				client.Overall(t.Context(), services, nodesMember).Obstacle,
			} {
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("read %d (-want +got)\n%s", n, diff)
				}
			}
			if lookUps := g.count(number); lookUps != tc.lookUps {
				t.Errorf("the number was looked up %d times, want %d", lookUps, tc.lookUps)
			}
		})
	}
}

const xAPI = "x.googleapis.com"

func apiOffFor(consumer string, kind diagnosis.ObstacleKind) diagnosis.Obstacle {
	o := diagnosis.Obstacle{Kind: kind, Service: xAPI, Detail: "the API x.googleapis.com is not enabled for " + consumer}
	if project, ok := strings.CutPrefix(consumer, "projects/"); ok {
		o.Consumer = project
	}
	if kind != diagnosis.APIOff {
		o.Detail += ", through which the asking account calls"
	}
	return o
}

// TestSameProject holds only for what is known to be the same.
func TestSameProject(t *testing.T) {
	g := newGoogle(t)
	for consumer, want := range map[string]bool{
		"projects/acme": true, "projects/417": true, "projects/acme/": false, "projects/acm": false, "projects/41": false,
		"projects/": false, "acme": false, "": false,
	} {
		if got := g.client.same(t.Context(), consumer, "acme"); got != want {
			t.Errorf("%q is said to be the project: %t", consumer, got)
		}
	}
	if g.client.same(t.Context(), "projects/", "") {
		t.Error("no project is the same as none")
	}
}
