// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"net/http"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

func TestOverall(t *testing.T) {
	letIn := &iampb.Policy{Bindings: []*iampb.Binding{bound(iampolicy.Role, nodesMember)}}
	deny := gcpemulator.DenyPolicy{
		Name:              "no-pulls",
		DeniedPrincipals:  []string{"principal://iam.googleapis.com/projects/-/serviceAccounts/" + nodes},
		DeniedPermissions: []string{"artifactregistry.googleapis.com/repositories.downloadArtifacts"},
	}
	seesNot := diagnosis.Overall{Obstacle: unreadable("Policy Troubleshooter sees not all policies")}
	for name, tc := range map[string]struct {
		prepare func(*google)
		want    diagnosis.Overall
	}{
		"let in":         {prepare: func(g *google) { g.SetPolicy(services.ResourceName(), letIn) }, want: diagnosis.Overall{State: diagnosis.Present}},
		"let in above":   {prepare: func(g *google) { g.SetProjectPolicy("acme", letIn) }, want: diagnosis.Overall{State: diagnosis.Present}},
		"not let in":     {prepare: func(*google) {}, want: diagnosis.Overall{State: diagnosis.Missing}},
		"let in, denied": {prepare: func(g *google) { g.SetPolicy(services.ResourceName(), letIn); g.SetDenyPolicy("acme", deny) }, want: diagnosis.Overall{State: diagnosis.Missing, Denied: true}},
		"others denied": {
			prepare: func(g *google) {
				other := deny
				other.DeniedPrincipals = []string{"principal://iam.googleapis.com/projects/-/serviceAccounts/" + batch}
				g.SetDenyPolicy("acme", other)
			},
			want: diagnosis.Overall{State: diagnosis.Missing},
		},
		"policies out of sight": {prepare: func(g *google) { g.RestrictCaller("") }, want: seesNot},
		"a group":               {prepare: func(g *google) { g.foreignWrite("group:dev@example.com") }, want: seesNot},
		"a condition": {
			prepare: func(g *google) {
				g.SetProjectPolicy("acme", &iampb.Policy{Bindings: []*iampb.Binding{onlyIf(bound(iampolicy.Role, nodesMember))}})
			},
			want: diagnosis.Overall{Obstacle: unreadable("Policy Troubleshooter cannot tell whether a condition holds")},
		},
		"an answer of the future": {
			prepare: func(g *google) {
				g.InjectFault(gcpemulator.Fault{Method: "iam.troubleshoot", HTTPStatus: http.StatusOK, Body: `{"overallAccessState":"PERHAPS"}`})
			},
			want: seesNot,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			tc.prepare(g)
			client := newClient(t, Options{Endpoint: g.URL(), Troubleshoot: true})
			if diff := cmp.Diff(tc.want, client.Overall(t.Context(), services, nodesMember)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestOverallIsNotAskedInVain(t *testing.T) {
	g := newGoogle(t)
	if diff := cmp.Diff(diagnosis.Overall{}, g.client.Overall(t.Context(), services, nodesMember)); diff != "" {
		t.Errorf("nobody allowed it to be asked (-want +got)\n%s", diff)
	}
	client := newClient(t, Options{Endpoint: g.URL(), Troubleshoot: true})
	for _, got := range []diagnosis.Overall{
		client.Overall(t.Context(), services, ""),
		client.Overall(t.Context(), services, "principal://iam.googleapis.com/x"),
		client.Overall(t.Context(), imageref.Repository{}, nodesMember),
	} {
		if got.State != diagnosis.Unknown || got.Obstacle.Kind != diagnosis.Unreadable || strings.TrimSpace(got.Obstacle.Detail) == "" {
			t.Errorf("got %+v", got)
		}
	}
	if asked := len(g.Requests()); asked != 0 {
		t.Errorf("%d requests were sent", asked)
	}
}
