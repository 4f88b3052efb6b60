// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// TestObstacles plays every error at each read; a fact is never taken for known.
func TestObstacles(t *testing.T) {
	for name, tc := range map[string]struct {
		fault      gcpemulator.Fault
		want       diagnosis.ObstacleKind
		permission bool // What the read takes is named.
		detail     string
	}{
		"denied": {
			fault: gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Message: "The caller does not have permission"},
			want:  diagnosis.Forbidden, permission: true, detail: "The caller does not have permission",
		},
		"API off": {
			fault: gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Body: errorInfo("SERVICE_DISABLED")},
			want:  diagnosis.APIOff, detail: "the API x.googleapis.com is not enabled for projects/acme",
		},
		"billing off": {
			fault: gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Body: errorInfo("BILLING_DISABLED")},
			want:  diagnosis.BillingOff, detail: "billing is off for projects/acme",
		},
		"API of another project off": {
			fault: gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Body: errorInfoFor("SERVICE_DISABLED", "projects/home")},
			want:  diagnosis.Unreadable, detail: "the API x.googleapis.com is not enabled for projects/home, through which the asking account calls",
		},
		"outside the perimeter": {
			fault: gcpemulator.Fault{
				HTTPStatus: http.StatusForbidden,
				Message:    "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x",
			},
			want: diagnosis.Perimeter, detail: "VPC Service Controls keep the asking account out",
		},
		"credentials refused": {
			fault: gcpemulator.Fault{HTTPStatus: http.StatusUnauthorized, Message: "invalid authentication credentials"},
			want:  diagnosis.Forbidden, detail: "Google does not accept the asking account's credentials",
		},
		"quota":      {fault: gcpemulator.Fault{HTTPStatus: http.StatusTooManyRequests}, want: diagnosis.Unavailable, detail: "slow down"},
		"quota, 403": {fault: gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Body: errorInfo("RATE_LIMIT_EXCEEDED")}, want: diagnosis.Unavailable, detail: "slow down"},
		"quota by status": {
			fault: gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Body: `{"error":{"code":403,"message":"no","status":"RESOURCE_EXHAUSTED"}}`},
			want:  diagnosis.Unavailable, detail: "slow down",
		},
		"unavailable": {fault: gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable}, want: diagnosis.Unavailable, detail: "HTTP 503"},
		"a proxy's page": {
			fault: gcpemulator.Fault{HTTPStatus: http.StatusBadGateway, Body: "<html>secret of a proxy</html>"},
			want:  diagnosis.Unavailable, detail: "HTTP 502",
		},
		"a page for an answer": {
			fault: gcpemulator.Fault{HTTPStatus: http.StatusOK, Body: "<html>please log in</html>"},
			want:  diagnosis.Unreadable, detail: "Google's answer makes no sense",
		},
		"bad request": {fault: gcpemulator.Fault{HTTPStatus: http.StatusBadRequest, Message: "no"}, want: diagnosis.Unreadable, detail: "no"},
		"reset":       {fault: gcpemulator.Fault{Reset: true}, want: diagnosis.Unavailable, detail: "broke off"},
		"time-out":    {fault: gcpemulator.Fault{Delay: time.Hour}, want: diagnosis.Unavailable, detail: "did not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			g.AddInstance(gcpemulator.Instance{Project: "acme", Zone: "us-central1-a", Name: "n1", ServiceAccount: nodes})
			timeout := time.Minute
			if tc.fault.Delay > 0 {
				timeout = 200 * time.Millisecond
			}
			g.InjectFault(tc.fault)
			client := newClient(t, Options{Endpoint: g.URL(), CallTimeout: timeout, Troubleshoot: true})
			for _, got := range obstacles(t, client) {
				if got.Kind != tc.want || !strings.Contains(got.Detail, tc.detail) || strings.Contains(got.Detail, "<html>") {
					t.Errorf("got %+v, want kind %d and %q", got, tc.want, tc.detail)
				}
				if strings.Contains(got.Detail, "operator") {
					t.Errorf("%q: people at the command line read it too", got.Detail)
				}
				if wanted := got.takes != "" && tc.permission; wanted != (got.Permission != "") || wanted && got.Permission != got.takes {
					t.Errorf("got permission %q of %q", got.Permission, got.takes)
				}
			}
		})
	}
}

// obstacleTo is what came of one read.
type obstacleTo struct {
	takes string // The permission that the read takes.
	diagnosis.Obstacle
}

// obstacles makes each read, and wants all facts unknown.
func obstacles(t *testing.T, client *Client) []obstacleTo {
	t.Helper()
	repository := client.Repository(t.Context(), services)
	access := client.Access(t.Context(), services, nodesMember)
	inherited := client.ProjectAccess(t.Context(), services, nodesMember)
	overall := client.Overall(t.Context(), services, nodesMember)
	byTag := client.Content(t.Context(), imageref.Image{Repository: services, Package: "app", Tag: "v1"})
	byDigest := client.Content(t.Context(), imageref.Image{Repository: services, Package: "app", Digest: absentDigest})
	puller, _ := client.NodeAccount(t.Context(), diagnosis.Node{ProviderID: "gce://acme/us-central1-a/n1"})
	for n, state := range []diagnosis.State{
		repository.State, access.State, inherited.State, overall.State, byTag.State, byDigest.State, puller.State,
	} {
		if state != diagnosis.Unknown {
			t.Errorf("what can't be read is unknown, got state %d of read %d", state, n)
		}
	}
	if puller.Member() != "" {
		t.Errorf("nobody is known to pull, got %+v", puller)
	}
	return []obstacleTo{
		{permissionGetRepository, repository.Obstacle},
		{permissionGetPolicy, access.Obstacle},
		{permissionGetProjectPolicy, inherited.Obstacle},
		{"", overall.Obstacle}, // It has no permission of its own.
		{permissionGetTag, byTag.Obstacle},
		{permissionGetVersion, byDigest.Obstacle},
		{permissionGetInstance, puller.Obstacle},
	}
}

func errorInfo(reason string) string { return errorInfoFor(reason, "projects/acme") }

// errorInfoFor names the project that is charged for the call.
func errorInfoFor(reason, consumer string) string {
	return `{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED","details":[{` +
		`"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"` + reason + `","domain":"googleapis.com",` +
		`"metadata":{"service":"x.googleapis.com","consumer":"` + consumer + `"}}]}}`
}

// TestBlockedProject plays what Google says of a project as a whole.
func TestBlockedProject(t *testing.T) {
	for name, tc := range map[string]struct {
		block gcpemulator.Blockage
		want  diagnosis.Obstacle
	}{
		"API off": {block: gcpemulator.APIDisabled, want: diagnosis.Obstacle{
			Kind: diagnosis.APIOff, Consumer: "417", Service: "artifactregistry.googleapis.com",
			Detail: "the API artifactregistry.googleapis.com is not enabled for projects/417",
		}},
		"billing off": {block: gcpemulator.BillingDisabled, want: diagnosis.Obstacle{
			Kind: diagnosis.BillingOff, Consumer: "417", Detail: "billing is off for projects/417",
		}},
		"perimeter": {block: gcpemulator.Perimeter, want: diagnosis.Obstacle{
			Kind: diagnosis.Perimeter, Identifier: "696f830bf2757277b806e97647dee137", Detail: "VPC Service Controls keep the asking account out",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			g.Block("acme", tc.block)
			for _, got := range []diagnosis.Obstacle{
				g.client.Repository(t.Context(), services).Obstacle,
				g.client.Access(t.Context(), services, nodesMember).Obstacle,
				g.client.Content(t.Context(), imageref.Image{Repository: services, Package: "app", Tag: "v1"}).Obstacle,
			} {
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
	}
}

func TestWithoutCredentials(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none.json")
	clock := newHurriedClock()
	client := newClient(t, Options{Troubleshoot: true, Clock: clock})
	for _, got := range obstacles(t, client) {
		if got.Kind != diagnosis.Unavailable || !got.NoCredentials || !strings.Contains(got.Detail, "no Google credentials were found") {
			t.Errorf("got %+v", got)
		}
	}
	g := newGoogle(t)
	client.connect = g.client.connect // As if the credentials were put there.
	clock.Step(firstProbe)
	if got := client.Repository(t.Context(), services); got.State != diagnosis.Present {
		t.Errorf("credentials that come later are found, got %+v", got)
	}
}

func TestNewRefusesABadEndpoint(t *testing.T) {
	for _, endpoint := range []string{
		"127.0.0.1:8080", "localhost", "ftp://x", "http://", "http://user:word@x", "http://user:word@x y", "http://x?y", "http://x#y", "http://x y", ":",
	} {
		if _, err := New(t.Context(), Options{Endpoint: endpoint}); err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:8085") {
			t.Errorf("%q: got %v, want an error with an example", endpoint, err)
		} else if strings.Contains(err.Error(), "word") {
			t.Errorf("%q: a password must not be shown: %v", endpoint, err)
		}
	}
}

func TestEndpointWithSlash(t *testing.T) {
	g := newGoogle(t)
	client := newClient(t, Options{Endpoint: g.URL() + "/"})
	if got := client.Repository(t.Context(), services); got.State != diagnosis.Present {
		t.Errorf("got %+v", got)
	}
}
