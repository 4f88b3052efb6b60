// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
)

// refusedWith checks an error of an API for its code and a part of its text.
func refusedWith(t *testing.T, err error, code int, text string) {
	t.Helper()
	var api *googleapi.Error
	if !errors.As(err, &api) || api.Code != code || !strings.Contains(api.Message, text) {
		t.Errorf("got %v, want %d with %q", err, code, text)
	}
}

func projectsClient(t *testing.T, e *Emulator) *cloudresourcemanager.ProjectsService {
	t.Helper()
	service, err := cloudresourcemanager.NewService(t.Context(), option.WithEndpoint(e.URL()), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	return service.Projects
}

func TestProjectsGet(t *testing.T) {
	e, _ := newEmulator(t)
	e.AddProject("example.com:web", 418)
	e.SetParent("projects/acme", "folders/7")
	projects := projectsClient(t, e)
	for asked, want := range map[string]cloudresourcemanager.Project{
		"projects/acme":            {Name: "projects/417", ProjectId: "acme", State: "ACTIVE", Parent: "folders/7"},
		"projects/417":             {Name: "projects/417", ProjectId: "acme", State: "ACTIVE", Parent: "folders/7"},
		"projects/example.com:web": {Name: "projects/418", ProjectId: "example.com:web", State: "ACTIVE"},
	} {
		got, err := projects.Get(asked).Do()
		if err != nil || got.Name != want.Name || got.ProjectId != want.ProjectId || got.State != want.State || got.Parent != want.Parent {
			t.Errorf("%s: got %+v, %v", asked, got, err)
		}
	}
	_, err := projects.Get("projects/none").Do()
	refusedWith(t, err, http.StatusForbidden, "resourcemanager.projects.get")
	e.RestrictCaller("", permissionProjectIAM)
	_, err = projects.Get("projects/acme").Do()
	refusedWith(t, err, http.StatusForbidden, "resourcemanager.projects.get")
}

func TestProjectPolicy(t *testing.T) {
	e, _ := newEmulator(t)
	projects := projectsClient(t, e)
	get := func(name string) (*cloudresourcemanager.Policy, error) {
		return projects.GetIamPolicy(name, &cloudresourcemanager.GetIamPolicyRequest{
			Options: &cloudresourcemanager.GetPolicyOptions{RequestedPolicyVersion: 3},
		}).Do()
	}
	e.SetProjectPolicy("acme", conditional("request.time < x"))
	policy, err := get("projects/acme")
	if err != nil || policy.Version != 3 || len(policy.Bindings) != 1 || policy.Bindings[0].Condition == nil {
		t.Fatalf("got %+v, %v", policy, err)
	}
	stale := policy.Etag
	if policy, err = projects.SetIamPolicy("projects/acme", &cloudresourcemanager.SetIamPolicyRequest{Policy: policy}).Do(); err != nil || policy.Etag == stale {
		t.Errorf("a condition on a project: got %+v, %v", policy, err)
	}
	policy.Etag = stale
	_, err = projects.SetIamPolicy("projects/acme", &cloudresourcemanager.SetIamPolicyRequest{Policy: policy}).Do()
	refusedWith(t, err, http.StatusConflict, "concurrent policy changes")

	_, err = get("projects/none")
	refusedWith(t, err, http.StatusForbidden, "The caller does not have permission")
	e.RestrictCaller("", permissionProject)
	_, err = get("projects/acme")
	refusedWith(t, err, http.StatusForbidden, "The caller does not have permission")
}

func TestRolesGet(t *testing.T) {
	e, _ := newEmulator(t)
	e.AddRole("projects/acme/roles/puller", permissionDownload)
	e.AddRole("organizations/9/roles/puller", permissionDownload, permissionGet)
	service, err := iam.NewService(t.Context(), option.WithEndpoint(e.URL()), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"projects/acme/roles/puller":                {permissionDownload},
		"projects/417/roles/puller":                 {permissionDownload},
		"organizations/9/roles/puller":              {permissionDownload, permissionGet},
		"roles/container.defaultNodeServiceAccount": nil,
		reader: pullPermissions,
	} {
		got, err := service.Projects.Roles.Get(name).Do()
		if err != nil || !slices.Equal(got.IncludedPermissions, want) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	_, err = service.Roles.Get("roles/none").Do()
	refusedWith(t, err, http.StatusNotFound, "was not found")
	e.RestrictCaller("", permissionGet)
	_, err = service.Projects.Roles.Get("projects/acme/roles/puller").Do()
	refusedWith(t, err, http.StatusForbidden, permissionRole)
	if _, err = service.Roles.Get(reader).Do(); err != nil {
		t.Errorf("a role of Google's, to who may do nothing: %v", err)
	}
}
