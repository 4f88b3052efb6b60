// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// TestNodeAccount asks Compute Engine alone: no cluster is known.
func TestNodeAccount(t *testing.T) {
	g := newGoogle(t)
	const readOnly = "https://www.googleapis.com/auth/devstorage.read_only"
	g.AddInstance(gcpemulator.Instance{Project: "acme", Zone: "us-central1-a", Name: "n1", ServiceAccount: nodes, Scopes: []string{readOnly}})
	g.AddInstance(gcpemulator.Instance{Project: "acme", Zone: "us-central1-a", Name: "n2"})
	g.AddInstance(gcpemulator.Instance{Project: "acme", Zone: "us-central1-a", Name: "n3", ServiceAccount: "ada@example.com"})
	g.AddInstance(gcpemulator.Instance{Project: "example.com:web", Zone: "us-central1-a", Name: "n4", ServiceAccount: nodes, Scopes: []string{}})
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
				Obstacle: unreadable(`the node runs as "ada@example.com", which is no service account`),
				Instance: "acme/us-central1-a/n3",
			},
		},
		"no such instance": {
			providerID: "gce://acme/us-central1-a/none",
			want: diagnosis.Puller{
				Obstacle: unreadable("Compute Engine has no instance acme/us-central1-a/none"),
				Instance: "acme/us-central1-a/none",
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
			if diff := cmp.Diff(tc.want, g.nodeAccount(t, diagnosis.Node{ProviderID: tc.providerID, Pool: "main"})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// nodeAccount is the client's answer without where it is from.
func (g *google) nodeAccount(t *testing.T, node diagnosis.Node) diagnosis.Puller {
	t.Helper()
	puller, _ := g.client.NodeAccount(t.Context(), node)
	return puller
}

func foreignPuller(shown string) diagnosis.Puller {
	return diagnosis.Puller{Obstacle: unreadable(fmt.Sprintf("the node's provider ID %q names no Compute Engine instance", shown))}
}

const (
	readOnlyScope = "https://www.googleapis.com/auth/devstorage.read_only"
	fullScope     = "https://www.googleapis.com/auth/cloud-platform"
)

var (
	prod = diagnosis.Cluster{Project: "acme", Location: "us-central1", Name: "prod"}
	n1   = diagnosis.Node{Name: "gke-prod-main-1", ProviderID: "gce://acme/us-central1-a/n1", Pool: "main"}
)

// newCluster is a google whose client knows cluster prod, and may not read instances.
func newCluster(t *testing.T, cluster gcpemulator.Cluster) *google {
	t.Helper()
	g := newGoogle(t)
	cluster.Project, cluster.Location, cluster.Name = prod.Project, prod.Location, prod.Name
	g.AddCluster(cluster)
	g.RestrictCaller("", permissionGetCluster, permissionGetProject)
	g.client = newClient(t, Options{Endpoint: g.URL(), Clock: g.clock, Cluster: prod})
	return g
}

func TestNodeAccountOfPool(t *testing.T) {
	const byDefault = "417-compute@developer.gserviceaccount.com"
	pools := []gcpemulator.NodePool{
		{Name: "main", ServiceAccount: nodes, Scopes: []string{"devstorage.read_only"}},
		{Name: "plain", ServiceAccount: "default", Scopes: []string{}},
		{Name: "silent"},
		{Name: "odd", ServiceAccount: "ada@example.com"},
	}
	made := &gcpemulator.NodePool{ServiceAccount: batch}
	for name, tc := range map[string]struct {
		cluster gcpemulator.Cluster
		node    diagnosis.Node
		email   string
		scopes  []string
		detail  string
	}{
		"by its name":            {node: diagnosis.Node{Pool: "main"}, email: nodes, scopes: []string{readOnlyScope}},
		"default":                {node: diagnosis.Node{Pool: "plain"}, email: byDefault, scopes: nil},
		"nothing said":           {node: diagnosis.Node{Pool: "silent"}, email: byDefault, scopes: []string{fullScope}},
		"no service account":     {node: diagnosis.Node{Pool: "odd"}, detail: `runs as "ada@example.com", which is no service account`},
		"no pool of that name":   {node: diagnosis.Node{Pool: "gone"}, detail: `the cluster has no node pool "gone"`},
		"no label":               {node: diagnosis.Node{Name: "n"}, detail: "the node's labels name no node pool"},
		"made by GKE, unlisted":  {cluster: gcpemulator.Cluster{Autoprovisioning: made}, node: diagnosis.Node{Name: "gk3-prod-nap-1", Pool: "nap-1"}, detail: `the cluster has no node pool "nap-1"`},
		"made by Autopilot":      {cluster: gcpemulator.Cluster{Autopilot: true, Autoprovisioning: made}, node: diagnosis.Node{Pool: "x"}, email: batch, scopes: []string{fullScope}},
		"made by hand":           {cluster: gcpemulator.Cluster{Autoprovisioning: made}, node: diagnosis.Node{Pool: "x"}, detail: `the cluster has no node pool "x"`},
		"made by default":        {cluster: gcpemulator.Cluster{Autopilot: true, Autoprovisioning: &gcpemulator.NodePool{ServiceAccount: "default"}}, node: diagnosis.Node{Pool: "x"}, email: byDefault, scopes: []string{fullScope}},
		"made, nothing is told":  {cluster: gcpemulator.Cluster{Autopilot: true}, node: diagnosis.Node{Pool: "x"}, detail: "does not tell as whom"},
		"made, no scopes told":   {cluster: gcpemulator.Cluster{Autopilot: true, Autoprovisioning: &gcpemulator.NodePool{Scopes: []string{}}}, node: diagnosis.Node{Pool: "x"}, detail: "does not tell as whom"},
		"listed, made by itself": {cluster: gcpemulator.Cluster{Autopilot: true, Autoprovisioning: made}, node: diagnosis.Node{Pool: "main"}, email: nodes, scopes: []string{readOnlyScope}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.cluster.NodePools = pools
			g := newCluster(t, tc.cluster)
			got := g.nodeAccount(t, tc.node)
			want := diagnosis.Puller{State: diagnosis.Present, Email: tc.email, Scopes: tc.scopes}
			if tc.email == "" {
				if got.Obstacle.Kind != diagnosis.Unreadable || !strings.Contains(got.Obstacle.Detail, tc.detail) {
					t.Errorf("got %+v, want %q", got.Obstacle, tc.detail)
				}
				want = diagnosis.Puller{Obstacle: got.Obstacle}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestNodeAccountAsksOn tells when the cluster is asked, and when it is not.
func TestNodeAccountAsksOn(t *testing.T) {
	compute := func(f gcpemulator.Fault) *gcpemulator.Fault { f.Method = "instances.get"; return &f }
	refused := compute(gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Message: "no"})
	for name, tc := range map[string]struct {
		fault      *gcpemulator.Fault
		providerID string
		want       string
		obstacle   diagnosis.Obstacle
		silent     bool // Nothing is asked.
	}{
		"Compute tells":    {providerID: n1.ProviderID, want: batch},
		"forbidden":        {providerID: n1.ProviderID, fault: refused, want: nodes},
		"API off":          {providerID: n1.ProviderID, fault: compute(gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Body: errorInfo("SERVICE_DISABLED")}), want: nodes},
		"perimeter":        {providerID: n1.ProviderID, fault: compute(gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Body: errorInfo("SECURITY_POLICY_VIOLATED")}), want: nodes},
		"no such instance": {providerID: "gce://acme/us-central1-a/none", want: nodes},
		"no provider ID":   {want: nodes},
		"not just now": {
			providerID: n1.ProviderID, fault: compute(gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable, Message: "later"}),
			obstacle: diagnosis.Obstacle{Kind: diagnosis.Unavailable, Detail: "Google answered HTTP 503: later", RetryAfter: firstProbe},
		},
		"of another project": {
			providerID: "gce://other/us-central1-a/n1", silent: true,
			obstacle: unreadable("the node's provider ID names project other, but the nodes of cluster prod are of project acme"),
		},
		"not Google's": {
			providerID: "kind://docker/kind/node", silent: true,
			obstacle: foreignPuller("kind://docker/kind/node").Obstacle,
		},
		"half Google's": {providerID: "gce://acme/n1", silent: true, obstacle: foreignPuller("gce://acme/n1").Obstacle},
	} {
		t.Run(name, func(t *testing.T) {
			g := newCluster(t, gcpemulator.Cluster{NodePools: []gcpemulator.NodePool{{Name: "main", ServiceAccount: nodes}}})
			g.UnrestrictCaller("")
			g.AddInstance(gcpemulator.Instance{Project: "acme", Zone: "us-central1-a", Name: "n1", ServiceAccount: batch})
			g.AddInstance(gcpemulator.Instance{Project: "other", Zone: "us-central1-a", Name: "n1", ServiceAccount: batch})
			if tc.fault != nil {
				g.InjectFault(*tc.fault)
			}
			got, byPool := g.client.NodeAccount(t.Context(), diagnosis.Node{ProviderID: tc.providerID, Pool: "main"})
			if got.Email != tc.want {
				t.Errorf("got %+v, want %q", got, tc.want)
			}
			if diff := cmp.Diff(tc.obstacle, got.Obstacle); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if byPool != (tc.want == nodes) {
				t.Errorf("the cluster is said to have told: %t", byPool)
			}
			if tc.silent && len(g.Requests()) != 0 {
				t.Errorf("%d requests were sent about what is none of ours", len(g.Requests()))
			}
			if asked := g.count("clusters.get") > 0; asked != (tc.want == nodes) {
				t.Errorf("the cluster was asked: %t", asked)
			}
		})
	}
}

func TestNodeAccountNeitherWayTells(t *testing.T) {
	// How each API says that a permission is missing.
	required := map[string]string{
		"instances.get": "Required 'compute.instances.get' permission for 'projects/acme'", "clusters.get": `Required "container.clusters.get" permission(s) for "projects/acme"`,
		"projects.get": "The caller does not have permission",
	}
	at := func(method string, status int) gcpemulator.Fault {
		message := method
		if status == http.StatusForbidden {
			message = required[method]
		}
		return gcpemulator.Fault{Method: method, HTTPStatus: status, Message: message}
	}
	const missing = "gce://acme/us-central1-a/none"
	for name, tc := range map[string]struct {
		providerID string
		faults     []gcpemulator.Fault
		want       diagnosis.Obstacle
	}{
		"both forbidden": {
			providerID: n1.ProviderID, faults: []gcpemulator.Fault{at("instances.get", 403), at("clusters.get", 403)},
			want: diagnosis.Obstacle{
				Kind: diagnosis.Forbidden, Permission: permissionGetInstance,
				Detail: "Google refuses the asking account: " + required["instances.get"] + "; Google refuses the asking account: " + required["clusters.get"],
			},
		},
		"the cluster is unavailable": {
			providerID: n1.ProviderID, faults: []gcpemulator.Fault{at("instances.get", 403), at("clusters.get", 503)},
			want: diagnosis.Obstacle{
				Kind: diagnosis.Unavailable, Detail: "Google refuses the asking account: " + required["instances.get"] + "; Google answered HTTP 503: clusters.get",
				RetryAfter: firstProbe,
			},
		},
		"only the cluster can be opened": {
			providerID: missing, faults: []gcpemulator.Fault{at("clusters.get", 403)},
			want: diagnosis.Obstacle{
				Kind: diagnosis.Forbidden, Permission: permissionGetCluster,
				Detail: "Compute Engine has no instance acme/us-central1-a/none; Google refuses the asking account: " + required["clusters.get"],
			},
		},
		"the cluster is gone": {
			providerID: missing, faults: []gcpemulator.Fault{at("clusters.get", 404)},
			want: unreadable("Compute Engine has no instance acme/us-central1-a/none; GKE has no cluster prod in us-central1 of project acme"),
		},
		"the number is not told": {
			providerID: missing, faults: []gcpemulator.Fault{at("projects.get", 403)},
			want: diagnosis.Obstacle{
				Kind: diagnosis.Forbidden, Permission: permissionGetProject,
				Detail: "Compute Engine has no instance acme/us-central1-a/none; Google refuses the asking account: " + required["projects.get"],
			},
		},
		"the number is none": {
			providerID: missing, faults: []gcpemulator.Fault{{Method: "projects.get", HTTPStatus: 200, Body: `{"name":"projects/acme"}`}},
			want: unreadable("Compute Engine has no instance acme/us-central1-a/none; Google gives no number for project acme"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newCluster(t, gcpemulator.Cluster{NodePools: []gcpemulator.NodePool{{Name: "plain"}}})
			g.UnrestrictCaller("")
			for _, fault := range tc.faults {
				g.InjectFault(fault)
			}
			got := g.nodeAccount(t, diagnosis.Node{ProviderID: tc.providerID, Pool: "plain"})
			if diff := cmp.Diff(tc.want, got.Obstacle); diff != "" || got.Member() != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestNodeAccountOfUnknownNode(t *testing.T) {
	g := newGoogle(t)
	obstacle := diagnosis.Obstacle{Kind: diagnosis.Unavailable, Detail: "the node cannot be read"}
	got := g.nodeAccount(t, diagnosis.Node{Name: "n", Obstacle: obstacle})
	if diff := cmp.Diff(diagnosis.Puller{Obstacle: obstacle}, got); diff != "" || len(g.Requests()) != 0 {
		t.Errorf("%d requests; (-want +got)\n%s", len(g.Requests()), diff)
	}
}
