// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/audit"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// TestReaders holds for the policies of repositories and of projects.
func TestReaders(t *testing.T) {
	const download, pushes, unread = "artifactregistry.repositories.downloadArtifacts", "projects/acme/roles/pusher", "projects/acme/roles/none"
	reader := iampolicy.Reader{Member: nodesMember, Role: iampolicy.Role}
	for name, tc := range map[string]struct {
		bindings []*iampb.Binding
		forbid   bool
		want     audit.Access
		lookUps  int
	}{
		"empty":       {want: audit.Access{State: diagnosis.Present}},
		"reader":      {bindings: []*iampb.Binding{bound(iampolicy.Role, nodesMember)}, want: audit.Access{State: diagnosis.Present, Readers: []iampolicy.Reader{reader}}},
		"conditional": {bindings: []*iampb.Binding{onlyIf(bound(iampolicy.Role, nodesMember))}, want: audit.Access{State: diagnosis.Present, Readers: []iampolicy.Reader{{Member: nodesMember, Role: iampolicy.Role, Conditional: true}}}},
		"own roles": {
			bindings: []*iampb.Binding{bound(ownRole, human), bound(pushes, nodesMember), bound(unread, batchMember)}, lookUps: 3,
			want: audit.Access{State: diagnosis.Present, Readers: []iampolicy.Reader{
				{Member: human, Role: ownRole}, {Member: nodesMember, Role: pushes, More: true},
			}},
		},
		"look-up forbidden": {
			bindings: []*iampb.Binding{bound(ownRole, human, nodesMember), bound(pushes, human), bound(iampolicy.Role, nodesMember)}, forbid: true, lookUps: 2,
			want: audit.Access{State: diagnosis.Present, Readers: []iampolicy.Reader{reader}, Undecided: []audit.Undecided{
				{Role: ownRole, Members: []string{nodesMember, human}, Obstacle: unreadable("role projects/acme/roles/puller cannot be read: the asking account lacks permission iam.roles.get")},
				{Role: pushes, Members: []string{human}, Obstacle: unreadable("role projects/acme/roles/pusher cannot be read: the asking account lacks permission iam.roles.get")},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for resource, read := range map[string]func(*Client) audit.Access{
				services.ResourceName(): func(c *Client) audit.Access { return c.Readers(t.Context(), services) },
				"projects/acme":         func(c *Client) audit.Access { return c.ProjectReaders(t.Context(), "acme") },
			} {
				g := newGoogle(t)
				g.AddRole(ownRole, download)
				g.AddRole(pushes, download, "artifactregistry.repositories.uploadArtifacts")
				g.AddRole(unread, "artifactregistry.repositories.get")
				g.SetPolicy(resource, &iampb.Policy{Version: 3, Bindings: tc.bindings})
				if tc.forbid {
					g.RestrictCaller("", permissionGetPolicy, permissionGetProjectPolicy)
				}
				if diff := cmp.Diff(tc.want, read(g.client)); diff != "" {
					t.Errorf("%s (-want +got)\n%s", resource, diff)
				}
				if lookUps := g.count("roles.get"); lookUps != tc.lookUps {
					t.Errorf("%s: %d roles were looked up, want %d", resource, lookUps, tc.lookUps)
				}
			}
		})
	}
}

// TestReadersNotRead: a policy that cannot be read is no policy of nobody.
func TestReadersNotRead(t *testing.T) {
	g := newGoogle(t)
	gone := imageref.Repository{Project: "acme", Location: "us", Name: "none"}
	if got := g.client.Readers(t.Context(), gone); got.State != diagnosis.Missing {
		t.Errorf("of what is not there: %+v", got)
	}
	if got := g.client.Readers(t.Context(), imageref.Repository{Project: "../x", Location: "us", Name: "none"}); got.State != diagnosis.Unknown || got.Obstacle.Detail == "" {
		t.Errorf("of what is no name: %+v", got)
	}
	g.RestrictCaller("", permissionListLocations)
	want := audit.Access{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Forbidden, Permission: permissionGetPolicy}}
	got := g.client.Readers(t.Context(), services)
	got.Obstacle.Detail = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("of what is forbidden (-want +got)\n%s", diff)
	}
	if got := g.client.ProjectReaders(t.Context(), "acme"); got.State != diagnosis.Unknown || got.Obstacle.Permission != permissionGetProjectPolicy {
		t.Errorf("of a forbidden project: %+v", got)
	}
}

// TestManyRoles: a project's policy binds many roles, and all are looked up.
func TestManyRoles(t *testing.T) {
	g := newGoogle(t)
	policy := &iampb.Policy{}
	for n := range maxLookUps * 2 {
		role := fmt.Sprintf("projects/acme/roles/r%02d", n)
		g.AddRole(role, "artifactregistry.repositories.downloadArtifacts")
		policy.Bindings = append(policy.Bindings, bound(role, human))
	}
	g.SetProjectPolicy("acme", policy)
	if got := g.client.ProjectReaders(t.Context(), "acme"); len(got.Readers) != maxLookUps*2 || len(got.Undecided) > 0 {
		t.Errorf("%d can read, %d are undecided", len(got.Readers), len(got.Undecided))
	}
}

// TestRepositories lists one location or all, and what holds images alone.
func TestRepositories(t *testing.T) {
	at := func(location, name string) imageref.Repository {
		return imageref.Repository{Project: "acme", Location: location, Name: name}
	}
	all := len(gcpemulator.Locations())
	for name, tc := range map[string]struct {
		project, location string
		allow             []string
		want              []imageref.Repository
		permission        string
		asked             int
	}{
		"all":                  {project: "acme", location: "*", want: []imageref.Repository{at("us-central1", "services"), at("us-central1", "tools"), at("us", "gcr.io")}, asked: all},
		"one location":         {project: "acme", location: "us", want: []imageref.Repository{at("us", "gcr.io")}, asked: 1},
		"nothing there":        {project: "acme", location: "asia", asked: 1},
		"domain-scoped":        {project: "example.com:web", location: "*", want: []imageref.Repository{{Project: "example.com:web", Location: "us", Name: "apps"}}, asked: all},
		"locations forbidden":  {project: "acme", location: "*", allow: []string{permissionListRepositories}, permission: permissionListLocations},
		"list forbidden":       {project: "acme", location: "*", allow: []string{permissionListLocations}, permission: permissionListRepositories, asked: all},
		"no project's name":    {project: "../x", location: "*", permission: "-"},
		"no location's name":   {project: "acme", location: "us/../eu", permission: "-"},
		"location is wildcard": {project: "acme", location: "-", permission: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			g.AddProject("example.com:web", 418)
			for _, r := range []gcpemulator.Repository{
				{Project: "acme", Location: "us-central1", Name: "tools"},
				{Project: "acme", Location: "us", Name: "gcr.io"},
				{Project: "acme", Location: "us", Name: "java", Format: "MAVEN"},
				{Project: "example.com:web", Location: "us", Name: "apps"},
			} {
				g.AddRepository(r)
			}
			if tc.allow != nil {
				g.RestrictCaller("", tc.allow...)
			}
			got, obstacle := g.client.Repositories(t.Context(), tc.project, tc.location)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			switch {
			case tc.permission == "-" && obstacle.Kind != diagnosis.Unreadable, tc.permission != "-" && obstacle.Permission != tc.permission:
				t.Errorf("the obstacle is %+v", obstacle)
			case tc.permission == "" && obstacle != (diagnosis.Obstacle{}):
				t.Errorf("there is an obstacle: %+v", obstacle)
			}
			if asked := g.count("ListRepositories"); asked != tc.asked {
				t.Errorf("%d lists were asked for, want %d", asked, tc.asked)
			}
		})
	}
}

// TestRepositoriesOfOneLocationFail: the others are listed all the same.
func TestRepositoriesOfOneLocationFail(t *testing.T) {
	g := newGoogle(t)
	g.AddRepository(gcpemulator.Repository{Project: "acme", Location: "us", Name: "gcr.io"})
	g.AddRepository(gcpemulator.Repository{Project: "acme", Location: "europe", Name: "eu.gcr.io"})
	g.InjectFault(gcpemulator.Fault{Method: "ListRepositories", Match: "locations/europe", HTTPStatus: 503})
	got, obstacle := g.client.Repositories(t.Context(), "acme", "*")
	if len(got) != 2 || got[1].Location != "us" || obstacle.Kind != diagnosis.Unavailable {
		t.Errorf("got %v and %+v", got, obstacle)
	}
}

// TestListsEndInTime: a list call that hangs ends with its time, as any other.
func TestListsEndInTime(t *testing.T) {
	g := newGoogle(t)
	g.InjectFault(gcpemulator.Fault{Method: "ListRepositories", Delay: time.Hour})
	hurried := newClient(t, Options{Endpoint: g.URL(), CallTimeout: 2 * time.Second, Clock: g.clock})
	if got, obstacle := hurried.Repositories(t.Context(), "acme", "us-central1"); len(got) > 0 || obstacle.Kind != diagnosis.Unavailable {
		t.Errorf("got %v and %+v", got, obstacle)
	}
	g.clock.Step(lastProbe)
	g.InjectFault(gcpemulator.Fault{Method: "ListVersions", Delay: time.Hour})
	missing := imageref.Image{Repository: services, Package: "checkout", Tag: "none"}
	if got := hurried.Content(t.Context(), missing); got.State != diagnosis.Missing || len(got.Nearest) > 0 {
		t.Errorf("got %+v", got)
	}
}
