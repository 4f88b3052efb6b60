// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// TestAnswersAreBounded sends endless responses, which Google's clients would read to the
// end.
func TestAnswersAreBounded(t *testing.T) {
	const offered = 32 << 20 // The sockets hold some megabytes that nobody reads.
	for name, status := range map[string]int{"success": http.StatusOK, "error": http.StatusForbidden} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
				out.WriteHeader(status)
				chunk := []byte(`{"description":"` + strings.Repeat("x", 1<<20))
				for range offered / len(chunk) {
					n, err := out.Write(chunk)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			}))
			client := newClient(t, Options{Endpoint: server.URL, Clock: newHurriedClock()})
			got := client.Repository(t.Context(), services)
			puller, _ := client.NodeAccount(t.Context(), diagnosis.Node{ProviderID: "gce://acme/us-central1-a/n1"})
			server.Close() // The count is final when the server is closed.
			if got.State != diagnosis.Unknown || got.Obstacle.Detail == "" || puller.State != diagnosis.Unknown || puller.Obstacle.Detail == "" {
				t.Errorf("got %+v and %+v", got, puller)
			}
			if sent.Load() >= offered {
				t.Errorf("%d bytes were read of two answers", sent.Load())
			}
		})
	}
}

// hosts forwards calls to Google to the emulator, and records their host.
type hosts struct {
	emulator *url.URL
	mu       sync.Mutex
	seen     map[string]bool
}

// RoundTrip implements http.RoundTripper.
func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.seen[r.URL.Host] = true
	h.mu.Unlock()
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = h.emulator.Scheme, h.emulator.Host, ""
	return http.DefaultTransport.RoundTrip(r)
}

// TestAPIsAreListed checks that docs/google-cloud.md lists exactly the APIs that the operator calls.
func TestAPIsAreListed(t *testing.T) {
	g := newCluster(t, gcpemulator.Cluster{NodePools: []gcpemulator.NodePool{{Name: "plain"}}})
	g.UnrestrictCaller("")
	const own = "projects/acme/roles/own"
	g.AddRole(own, "artifactregistry.repositories.downloadArtifacts")
	g.SetPolicy(services.ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{{Role: own, Members: []string{nodesMember}}}})
	g.InjectFault(gcpemulator.Fault{Method: "instances.get", HTTPStatus: http.StatusForbidden})
	at, err := url.Parse(g.URL())
	if err != nil {
		t.Fatal(err)
	}
	h := &hosts{emulator: at, seen: map[string]bool{}}
	client := newClient(t, Options{Clock: g.clock, Cluster: g.client.cluster, Troubleshoot: true})
	client.connect = func() (*apis, error) {
		return newAPIs(t.Context(), "", defaultCallTimeout, func(string) (*http.Client, error) { return &http.Client{Transport: h}, nil })
	}
	client.Repository(t.Context(), services)
	client.Access(t.Context(), services, nodesMember)
	client.ProjectAccess(t.Context(), services, nodesMember)
	client.Overall(t.Context(), services, nodesMember)
	client.NodeAccount(t.Context(), n1)

	page, err := os.ReadFile("../../docs/google-cloud.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n### APIs to enable\n")
	section, _, _ = strings.Cut(section, "\n### ")
	var listed []string
	project := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z.]+)` \\| [a-z]+: `([a-z0-9-]+)` \\|").FindAllStringSubmatch(section, -1) {
		listed, project[row[1]] = append(listed, row[1]), row[2]
	}
	slices.Sort(listed)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(h.seen)), listed); diff != "" {
		t.Errorf("APIs (-called +listed)\n%s", diff)
	}
	if clients := reflect.TypeFor[apis]().NumField(); clients != len(h.seen) {
		t.Errorf("there are %d clients, and the test calls %d APIs", clients, len(h.seen))
	}
	// These APIs must be enabled in the project of the asking account.
	for _, api := range []string{"iam.googleapis.com", "policytroubleshooter.googleapis.com", "cloudresourcemanager.googleapis.com"} {
		if project[api] != "acme-ops-204" {
			t.Errorf("%s is to be enabled in %s, want the project of the operator's account", api, project[api])
		}
	}
}
