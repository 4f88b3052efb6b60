// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/expr"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

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
		"unknown puller": {role: iampolicy.Role, bound: nodesMember, want: diagnosis.Access{Obstacle: unknownMember}},
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

func TestAbsent(t *testing.T) {
	g := newGoogle(t)
	g.SetPolicy(services.ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{
		bound(iampolicy.Role, strings.ToUpper(nodesMember[:20])+nodesMember[20:]), bound("roles/artifactregistry.writer", batchMember),
	}})
	for range 2 {
		got, err := g.client.Absent(t.Context(), services, []string{nodesMember, batchMember})
		if diff := cmp.Diff([]string{batchMember}, got); err != nil || diff != "" {
			t.Errorf("Absent: %v (-want +got)\n%s", err, diff)
		}
		g.SetPolicy(services.ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{bound(iampolicy.Role, nodesMember)}})
	}
	if _, err := g.client.Absent(t.Context(), imageref.Repository{Project: "acme", Location: "us", Name: "none"}, []string{nodesMember}); !errors.Is(err, iampolicy.ErrNotFound) {
		t.Errorf("Absent of a missing repository: %v; it is not known, and nobody is absent", err)
	}
}

const ownRole = "projects/acme/roles/puller"

func bound(role string, members ...string) *iampb.Binding {
	return &iampb.Binding{Role: role, Members: members}
}

func onlyIf(b *iampb.Binding) *iampb.Binding {
	b.Condition = &expr.Expr{Title: "office hours", Expression: "request.time.getHours() > 8"}
	return b
}

// TestAccessByPermission holds for the policies of repositories and of projects.
func TestAccessByPermission(t *testing.T) {
	const group, twin = "group:dev@example.com", "deleted:" + nodesMember + "?uid=1"
	const organizations, others = "organizations/7/roles/puller", "roles/compute.viewer"
	missing := diagnosis.Access{State: diagnosis.Missing}
	for name, tc := range map[string]struct {
		bindings []*iampb.Binding
		forbid   bool
		want     diagnosis.Access
		lookUps  int
	}{
		"known role":          {bindings: []*iampb.Binding{bound("roles/editor", nodesMember)}, want: diagnosis.Access{State: diagnosis.Present, Role: "roles/editor"}},
		"own role":            {bindings: []*iampb.Binding{bound(ownRole, nodesMember)}, want: diagnosis.Access{State: diagnosis.Present, Role: ownRole}, lookUps: 1},
		"organization's role": {bindings: []*iampb.Binding{bound(organizations, nodesMember)}, want: diagnosis.Access{State: diagnosis.Present, Role: organizations}, lookUps: 1},
		"Google's other role": {bindings: []*iampb.Binding{bound(others, nodesMember)}, want: missing, lookUps: 1},
		"own role of no use":  {bindings: []*iampb.Binding{bound("projects/acme/roles/none", nodesMember)}, want: missing, lookUps: 1},
		"role of others":      {bindings: []*iampb.Binding{bound(ownRole, batchMember)}, want: missing},
		"look-up forbidden": {
			bindings: []*iampb.Binding{bound(ownRole, nodesMember)}, forbid: true, lookUps: 1,
			want: diagnosis.Access{Obstacle: diagnosis.Obstacle{
				Kind:   diagnosis.Unreadable,
				Detail: "role projects/acme/roles/puller cannot be read: the asking account lacks permission iam.roles.get",
			}},
		},
		"look-up not needed": {
			bindings: []*iampb.Binding{bound(ownRole, nodesMember), bound(iampolicy.Role, nodesMember)}, forbid: true,
			want: diagnosis.Access{State: diagnosis.Present, Role: iampolicy.Role},
		},
		"look-up of another role helps": {
			bindings: []*iampb.Binding{bound("organizations/7/roles/gone", nodesMember), bound(ownRole, nodesMember)}, lookUps: 2,
			want: diagnosis.Access{State: diagnosis.Present, Role: ownRole},
		},
		"no name of a role": {
			bindings: []*iampb.Binding{bound("roles/../projects/acme", nodesMember)},
			want:     diagnosis.Access{Obstacle: unreadable("role roles/../projects/acme cannot be read: this is no name of a role")},
		},
		"condition":        {bindings: []*iampb.Binding{onlyIf(bound(iampolicy.Role, nodesMember))}, want: diagnosis.Access{Obstacle: unreadable("a condition decides whether its role " + iampolicy.Role + " applies")}},
		"condition beside": {bindings: []*iampb.Binding{onlyIf(bound(iampolicy.Role, nodesMember)), bound("roles/viewer", nodesMember)}, want: diagnosis.Access{State: diagnosis.Present, Role: "roles/viewer"}},
		"condition of others": {
			bindings: []*iampb.Binding{onlyIf(bound(iampolicy.Role, batchMember)), onlyIf(bound("roles/logging.logWriter", nodesMember))}, want: missing,
		},
		"groups": {
			bindings: []*iampb.Binding{
				bound(iampolicy.Role, "group:5@example.com", group, "group:4@example.com", "domain:example.com", "group:3@example.com"),
				bound("roles/logging.logWriter", "group:0@example.com"),
			},
			want: diagnosis.Access{State: diagnosis.Missing, Groups: []string{
				"domain:example.com", "group:3@example.com", "group:4@example.com", "group:5@example.com",
			}},
		},
		"deleted twin": {bindings: []*iampb.Binding{bound(iampolicy.Role, twin, group)}, want: diagnosis.Access{State: diagnosis.Missing, Deleted: true, Groups: []string{group}}},
	} {
		t.Run(name, func(t *testing.T) {
			for resource, read := range map[string]func(*Client) diagnosis.Access{
				services.ResourceName(): func(c *Client) diagnosis.Access { return c.Access(t.Context(), services, nodesMember) },
				"projects/acme":         func(c *Client) diagnosis.Access { return c.ProjectAccess(t.Context(), services, nodesMember) },
			} {
				g := newGoogle(t)
				g.AddRole(ownRole, "artifactregistry.repositories.downloadArtifacts")
				g.AddRole(organizations, "artifactregistry.repositories.downloadArtifacts", "artifactregistry.tags.get")
				g.AddRole("projects/acme/roles/none", "artifactregistry.repositories.get")
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

func TestProjectAccessOfADomainScopedProject(t *testing.T) {
	g := newGoogle(t)
	repo := imageref.Repository{Project: "example.com:web", Location: "us", Name: "apps"}
	g.AddProject(repo.Project, 418)
	g.SetProjectPolicy(repo.Project, &iampb.Policy{Bindings: []*iampb.Binding{bound("roles/viewer", nodesMember)}})
	want := diagnosis.Access{State: diagnosis.Present, Role: "roles/viewer"}
	if diff := cmp.Diff(want, g.client.ProjectAccess(t.Context(), repo, nodesMember)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestProjectPolicyIsReadWithItsConditions: in older versions Google hides them,
// and a role that is bound under one would seem to be bound for good.
func TestProjectPolicyIsReadWithItsConditions(t *testing.T) {
	var sent string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		sent = r.Method + " " + r.URL.Path + " " + strings.TrimSpace(string(body))
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	got := newClient(t, Options{Endpoint: server.URL}).ProjectAccess(t.Context(), services, nodesMember)
	if diff := cmp.Diff(diagnosis.Access{State: diagnosis.Missing}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if want := `POST /v3/projects/acme:getIamPolicy {"options":{"requestedPolicyVersion":3}}`; sent != want {
		t.Errorf("sent %s, want %s", sent, want)
	}
}

func TestProjectAccessOfAStrangeProject(t *testing.T) {
	g := newGoogle(t)
	for _, project := range []string{"", "..", "acme:setIamPolicy?"} {
		got := g.client.ProjectAccess(t.Context(), imageref.Repository{Project: project}, nodesMember)
		if diff := cmp.Diff(diagnosis.Access{Obstacle: unreadable(badProject.detail)}, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", project, diff)
		}
	}
	if asked := len(g.Requests()); asked != 0 {
		t.Errorf("%d requests were sent", asked)
	}
}

// TestARoleThatIsSwitchedOff lets nobody in, whatever it holds.
func TestARoleThatIsSwitchedOff(t *testing.T) {
	for name, body := range map[string]string{
		"disabled": `{"stage":"DISABLED","includedPermissions":["artifactregistry.repositories.downloadArtifacts"]}`,
		"deleted":  `{"deleted":true,"includedPermissions":["artifactregistry.repositories.downloadArtifacts"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			g.SetPolicy(services.ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{bound(ownRole, nodesMember)}})
			g.InjectFault(gcpemulator.Fault{Method: "roles.get", HTTPStatus: http.StatusOK, Body: body})
			got := g.client.Access(t.Context(), services, nodesMember)
			if diff := cmp.Diff(diagnosis.Access{State: diagnosis.Missing}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestRolesAreRemembered(t *testing.T) {
	g := newGoogle(t)
	g.AddRole(ownRole, "artifactregistry.repositories.downloadArtifacts")
	g.SetPolicy(services.ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{bound(ownRole, nodesMember, batchMember)}})
	read := func(wantLookUps int) {
		t.Helper()
		for _, member := range []string{nodesMember, batchMember} {
			if got := g.client.Access(t.Context(), services, member); got.Role != ownRole {
				t.Errorf("got %+v", got)
			}
		}
		if lookUps := g.count("roles.get"); lookUps != wantLookUps {
			t.Errorf("%d look-ups, want %d", lookUps, wantLookUps)
		}
	}
	read(1)
	g.clock.Step(roleTTL)
	read(1)
	g.clock.Step(time.Nanosecond)
	read(2)
}

func TestLookUpsAreBounded(t *testing.T) {
	policy := &iampb.Policy{}
	for n := range maxLookUps + 3 {
		policy.Bindings = append(policy.Bindings, bound("roles/compute.viewer"+strings.Repeat("x", n), nodesMember))
	}
	for name, tc := range map[string]struct {
		status  int
		lookUps int
		kind    diagnosis.ObstacleKind
	}{
		"all are readable":     {status: http.StatusOK, lookUps: maxLookUps, kind: diagnosis.Unreadable},
		"none is readable":     {status: http.StatusForbidden, lookUps: maxLookUps, kind: diagnosis.Unreadable},
		"Google does not tell": {status: http.StatusServiceUnavailable, lookUps: readCalls, kind: diagnosis.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			g.SetPolicy(services.ResourceName(), policy)
			g.InjectFault(gcpemulator.Fault{Method: "roles.get", HTTPStatus: tc.status, Body: "{}"})
			got := g.client.Access(t.Context(), services, nodesMember)
			if got.State != diagnosis.Unknown || got.Obstacle.Kind != tc.kind || !strings.HasPrefix(got.Obstacle.Detail, "role roles/compute.viewer") {
				t.Errorf("got %+v, want unknown by obstacle %d to a role", got, tc.kind)
			}
			if lookUps := g.count("roles.get"); lookUps != tc.lookUps {
				t.Errorf("%d look-ups, want %d", lookUps, tc.lookUps)
			}
		})
	}
}
