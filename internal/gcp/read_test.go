// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/gcp/emulator"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

func TestRepository(t *testing.T) {
	g := newGoogle(t)
	g.AddRepository(emulator.Repository{Project: "acme", Location: "us", Name: "java", Format: "MAVEN"})
	g.AddRepository(emulator.Repository{Project: "acme", Location: "us", Name: "all", Mode: "VIRTUAL_REPOSITORY"})
	g.AddRepository(emulator.Repository{Project: "acme", Location: "us", Name: "new", Mode: "CONNECTOR_REPOSITORY"})
	g.AddRepository(emulator.Repository{Project: "example.com:web", Location: "europe", Name: "eu.gcr.io"})
	for name, tc := range map[string]struct {
		repo imageref.Repository
		want diagnosis.Repository
	}{
		"standard": {
			repo: services,
			want: diagnosis.Repository{
				State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY",
				RegistryURI: "us-central1-docker.pkg.dev/acme/services",
			},
		},
		"not Docker": {
			repo: imageref.Repository{Project: "acme", Location: "us", Name: "java"},
			want: diagnosis.Repository{
				State: diagnosis.Present, Format: "MAVEN", Mode: "STANDARD_REPOSITORY", RegistryURI: "us-maven.pkg.dev/acme/java",
			},
		},
		"virtual": {
			repo: imageref.Repository{Project: "acme", Location: "us", Name: "all"},
			want: diagnosis.Repository{
				State: diagnosis.Present, Format: "DOCKER", Mode: "VIRTUAL_REPOSITORY", RegistryURI: "us-docker.pkg.dev/acme/all",
			},
		},
		"a mode of the future": {
			repo: imageref.Repository{Project: "acme", Location: "us", Name: "new"},
			want: diagnosis.Repository{
				State: diagnosis.Present, Format: "DOCKER", Mode: "MODE_UNSPECIFIED", RegistryURI: "us-docker.pkg.dev/acme/new",
			},
		},
		"domain-scoped project": {
			repo: imageref.Repository{Project: "example.com:web", Location: "europe", Name: "eu.gcr.io"},
			want: diagnosis.Repository{
				State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY",
				RegistryURI: "europe-docker.pkg.dev/example.com/web/eu.gcr.io",
			},
		},
		"missing": {
			repo: imageref.Repository{Project: "acme", Location: "us", Name: "services"},
			want: diagnosis.Repository{State: diagnosis.Missing},
		},
		"no repository": {
			repo: imageref.Repository{},
			want: diagnosis.Repository{Obstacle: unreadable("this is no name of an Artifact Registry repository")},
		},
		"a path for a name": {
			repo: imageref.Repository{Project: "acme", Location: "us", Name: "x:setIamPolicy?"},
			want: diagnosis.Repository{Obstacle: unreadable("this is no name of an Artifact Registry repository")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, g.client.Repository(t.Context(), tc.repo)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAccess(t *testing.T) {
	missing := diagnosis.Access{State: diagnosis.Missing}
	for name, tc := range map[string]struct {
		role, bound, asked string
		want               diagnosis.Access
	}{
		"empty policy":   {asked: nodesMember, want: missing},
		"reader":         {role: iampolicy.Role, bound: nodesMember, asked: nodesMember, want: diagnosis.Access{State: diagnosis.Present, Role: iampolicy.Role}},
		"by more":        {role: "roles/artifactregistry.repoAdmin", bound: nodesMember, asked: nodesMember, want: diagnosis.Access{State: diagnosis.Present, Role: "roles/artifactregistry.repoAdmin"}},
		"somebody else":  {role: iampolicy.Role, bound: batchMember, asked: nodesMember, want: missing},
		"unknown puller": {role: iampolicy.Role, bound: nodesMember, want: diagnosis.Access{Obstacle: unreadable("who pulls is unknown")}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			if tc.role != "" {
				g.SetPolicy(services.ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{{Role: tc.role, Members: []string{tc.bound}}}})
			}
			if diff := cmp.Diff(tc.want, g.client.Access(t.Context(), services, tc.asked)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAccessToAMissingRepository(t *testing.T) {
	g := newGoogle(t)
	got := g.client.Access(t.Context(), imageref.Repository{Project: "acme", Location: "us", Name: "none"}, nodesMember)
	if got.State != diagnosis.Unknown || got.Obstacle.Kind != diagnosis.Unreadable || got.Obstacle.Detail == "" {
		t.Errorf("the access to what is not there is unknown, got %+v", got)
	}
}

func TestNodeAccount(t *testing.T) {
	g := newGoogle(t)
	const readOnly = "https://www.googleapis.com/auth/devstorage.read_only"
	g.AddInstance(emulator.Instance{Project: "acme", Zone: "us-central1-a", Name: "n1", ServiceAccount: nodes, Scopes: []string{readOnly}})
	g.AddInstance(emulator.Instance{Project: "acme", Zone: "us-central1-a", Name: "n2"})
	g.AddInstance(emulator.Instance{Project: "acme", Zone: "us-central1-a", Name: "n3", ServiceAccount: "ada@example.com"})
	g.AddInstance(emulator.Instance{Project: "example.com:web", Zone: "us-central1-a", Name: "n4", ServiceAccount: nodes, Scopes: []string{}})
	for name, tc := range map[string]struct {
		providerID string
		want       diagnosis.Puller
	}{
		"with scopes": {
			providerID: "gce://acme/us-central1-a/n1",
			want:       diagnosis.Puller{State: diagnosis.Present, Email: nodes, Scopes: []string{readOnly}, Instance: "acme/us-central1-a/n1"},
		},
		"without scopes": {
			providerID: "gce://example.com:web/us-central1-a/n4",
			want:       diagnosis.Puller{State: diagnosis.Present, Email: nodes, Scopes: []string{}, Instance: "example.com:web/us-central1-a/n4"},
		},
		"without account": {
			providerID: "gce://acme/us-central1-a/n2",
			want:       diagnosis.Puller{State: diagnosis.Missing, Instance: "acme/us-central1-a/n2"},
		},
		"account of a person": {
			providerID: "gce://acme/us-central1-a/n3",
			want: diagnosis.Puller{
				Obstacle: unreadable(`the instance runs as "ada@example.com", which is no service account`), Instance: "acme/us-central1-a/n3",
			},
		},
		"no such instance": {
			providerID: "gce://acme/us-central1-a/none",
			want: diagnosis.Puller{
				Obstacle: unreadable("Compute Engine has no instance acme/us-central1-a/none"), Instance: "acme/us-central1-a/none",
			},
		},
		"no provider ID":   {want: diagnosis.Puller{Obstacle: unreadable("the node has no provider ID, so its instance is unknown")}},
		"another provider": {providerID: "aws:///eu-west-1a/i-0abc", want: foreignPuller("aws:///eu-west-1a/i-0abc")},
		"too short":        {providerID: "gce://acme/n1", want: foreignPuller("gce://acme/n1")},
		"a path inside":    {providerID: "gce://acme/us-central1-a/../../x", want: foreignPuller("gce://acme/us-central1-a/../../x")},
		"a query inside":   {providerID: "gce://acme/us-central1-a/n1?x", want: foreignPuller("gce://acme/us-central1-a/n1?x")},
		"two lines":        {providerID: "gce://acme/us-central1-a/n1\n", want: foreignPuller("gce://acme/us-central1-a/n1")},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, g.client.NodeAccount(t.Context(), tc.providerID)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func foreignPuller(shown string) diagnosis.Puller {
	return diagnosis.Puller{Obstacle: unreadable(fmt.Sprintf("the node's provider ID %q names no Compute Engine instance", shown))}
}

// TestObstacles plays every error at each read; a fact is never taken for known.
func TestObstacles(t *testing.T) {
	for name, tc := range map[string]struct {
		fault      emulator.Fault
		want       diagnosis.ObstacleKind
		permission bool // What the read takes is named.
		detail     string
	}{
		"denied": {
			fault: emulator.Fault{HTTPStatus: http.StatusForbidden, Message: "The caller does not have permission"},
			want:  diagnosis.Forbidden, permission: true, detail: "The caller does not have permission",
		},
		"API off": {
			fault: emulator.Fault{HTTPStatus: http.StatusForbidden, Body: errorInfo("SERVICE_DISABLED")},
			want:  diagnosis.Forbidden, detail: "the API x.googleapis.com is not enabled for projects/417",
		},
		"billing off": {
			fault: emulator.Fault{HTTPStatus: http.StatusForbidden, Body: errorInfo("BILLING_DISABLED")},
			want:  diagnosis.Forbidden, detail: "billing is off for projects/417",
		},
		"outside the perimeter": {
			fault: emulator.Fault{
				HTTPStatus: http.StatusForbidden,
				Message:    "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x",
			},
			want: diagnosis.Forbidden, detail: "VPC Service Controls keep the operator out",
		},
		"credentials refused": {
			fault: emulator.Fault{HTTPStatus: http.StatusUnauthorized, Message: "invalid authentication credentials"},
			want:  diagnosis.Forbidden, detail: "Google does not accept the operator's credentials",
		},
		"quota":      {fault: emulator.Fault{HTTPStatus: http.StatusTooManyRequests}, want: diagnosis.Unavailable, detail: "slow down"},
		"quota, 403": {fault: emulator.Fault{HTTPStatus: http.StatusForbidden, Body: errorInfo("RATE_LIMIT_EXCEEDED")}, want: diagnosis.Unavailable, detail: "slow down"},
		"quota by status": {
			fault: emulator.Fault{HTTPStatus: http.StatusForbidden, Body: `{"error":{"code":403,"message":"no","status":"RESOURCE_EXHAUSTED"}}`},
			want:  diagnosis.Unavailable, detail: "slow down",
		},
		"unavailable": {fault: emulator.Fault{HTTPStatus: http.StatusServiceUnavailable}, want: diagnosis.Unavailable, detail: "HTTP 503"},
		"a proxy's page": {
			fault: emulator.Fault{HTTPStatus: http.StatusBadGateway, Body: "<html>secret of a proxy</html>"},
			want:  diagnosis.Unavailable, detail: "HTTP 502",
		},
		"a page for an answer": {
			fault: emulator.Fault{HTTPStatus: http.StatusOK, Body: "<html>please log in</html>"},
			want:  diagnosis.Unreadable, detail: "Google's answer makes no sense",
		},
		"bad request": {fault: emulator.Fault{HTTPStatus: http.StatusBadRequest, Message: "no"}, want: diagnosis.Unreadable, detail: "no"},
		"reset":       {fault: emulator.Fault{Reset: true}, want: diagnosis.Unavailable, detail: "broke off"},
		"time-out":    {fault: emulator.Fault{Delay: time.Hour}, want: diagnosis.Unavailable, detail: "did not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			g.AddInstance(emulator.Instance{Project: "acme", Zone: "us-central1-a", Name: "n1", ServiceAccount: nodes})
			timeout := time.Minute
			if tc.fault.Delay > 0 {
				timeout = 200 * time.Millisecond
			}
			g.InjectFault(tc.fault)
			client := newClient(t, Options{Endpoint: g.URL(), CallTimeout: timeout})
			for permission, got := range obstacles(t, client) {
				if got.Kind != tc.want || !strings.Contains(got.Detail, tc.detail) || strings.Contains(got.Detail, "<html>") {
					t.Errorf("got %+v, want kind %d and %q", got, tc.want, tc.detail)
				}
				if named := got.Permission == permission; named != tc.permission || (!named && got.Permission != "") {
					t.Errorf("got permission %q", got.Permission)
				}
			}
		})
	}
}

// obstacles makes each read, by the permission it takes, and wants all facts unknown.
func obstacles(t *testing.T, client *Client) map[string]diagnosis.Obstacle {
	t.Helper()
	repository := client.Repository(t.Context(), services)
	access := client.Access(t.Context(), services, nodesMember)
	puller := client.NodeAccount(t.Context(), "gce://acme/us-central1-a/n1")
	if repository.State != diagnosis.Unknown || access.State != diagnosis.Unknown || puller.State != diagnosis.Unknown || puller.Member() != "" {
		t.Errorf("what can't be read is unknown, got %+v, %+v, %+v", repository, access, puller)
	}
	return map[string]diagnosis.Obstacle{
		permissionGetRepository: repository.Obstacle,
		permissionGetPolicy:     access.Obstacle,
		permissionGetInstance:   puller.Obstacle,
	}
}

func errorInfo(reason string) string {
	return `{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED","details":[{` +
		`"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"` + reason + `","domain":"googleapis.com",` +
		`"metadata":{"service":"x.googleapis.com","consumer":"projects/417"}}]}}`
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for _, got := range obstacles(t, newClient(t, Options{Endpoint: "http://" + address})) {
		if got.Kind != diagnosis.Unavailable || !strings.Contains(got.Detail, address+" cannot be reached") {
			t.Errorf("it must say what can't be reached, got %+v", got)
		}
	}
}

func TestWithoutCredentials(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none.json")
	client := newClient(t, Options{})
	for _, got := range obstacles(t, client) {
		if got.Kind != diagnosis.Unavailable || !strings.Contains(got.Detail, "the operator finds no Google credentials") {
			t.Errorf("got %+v", got)
		}
	}
	g := newGoogle(t)
	client.connect = g.client.connect // As if the credentials were put there.
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
