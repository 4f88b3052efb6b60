// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
)

func (e *Emulator) repositoriesEndpoint(r *http.Request) endpoint {
	parent := "projects/" + e.state.projectID(r.PathValue("project")) + "/locations/" + r.PathValue("location")
	if r.Method == http.MethodPost {
		return e.api("CreateRepository", parent, e.createRepository)
	}
	return e.api("ListRepositories", parent, e.listRepositories)
}

func (e *Emulator) locationsEndpoint(r *http.Request) endpoint {
	return e.api("ListLocations", "projects/"+e.state.projectID(r.PathValue("project")), e.listLocations)
}

// repositoryName is the resource name that a request's path holds.
func (e *Emulator) repositoryName(r *http.Request, id string) string {
	return repositoryName(e.state.projectID(r.PathValue("project")), r.PathValue("location"), id)
}

func (e *Emulator) repositoryEndpoint(r *http.Request) endpoint {
	id, verb, _ := strings.Cut(r.PathValue("repository"), ":")
	name := e.repositoryName(r, id)
	switch r.Method + " " + verb {
	case "GET ":
		return e.api("GetRepository", name, e.getRepository)
	case "GET getIamPolicy":
		return e.api("GetIamPolicy", name, e.getIAMPolicy)
	case "POST setIamPolicy":
		return e.api("SetIamPolicy", name, e.setIAMPolicy)
	case "POST testIamPermissions":
		return e.api("TestIamPermissions", name, e.testIAMPermissions)
	}
	return unknownEndpoint(r)
}

// repositoryJSON is the emulated part of the API's repository. Format and Mode are names or
// numbers.
type repositoryJSON struct {
	Name        string `json:"name"`
	Format      any    `json:"format"`
	Mode        any    `json:"mode"`
	CreateTime  string `json:"createTime"`
	UpdateTime  string `json:"updateTime"`
	SizeBytes   string `json:"sizeBytes"`
	RegistryURI string `json:"registryUri"`
}

// describe returns a repository in the form that the request asks for.
func (e *Emulator) describe(r storedRepository, request *http.Request) repositoryJSON {
	size := int64(0)
	for _, a := range e.state.artifactsOf(r.resourceName()) {
		size += a.size
	}
	created := r.created.UTC().Format(time.RFC3339Nano)
	described := repositoryJSON{
		Name: r.resourceName(), Format: r.Format, Mode: r.Mode,
		CreateTime: created, UpdateTime: created, SizeBytes: fmt.Sprint(size),
		RegistryURI: r.registryURI(),
	}
	if wantsEnumNumbers(request) {
		described.Format, described.Mode = enumNumber(formatNumbers, r.Format), enumNumber(modeNumbers, r.Mode)
	}
	return described
}

// registryURI is the repository's canonical place; for gcr.io repositories too.
func (r Repository) registryURI() string {
	format := strings.ToLower(r.Format)
	return r.Location + "-" + format + ".pkg.dev/" + strings.ReplaceAll(r.Project, ":", "/") + "/" + r.Name
}

// authorize refuses a call of Artifact Registry's.
func (e *Emulator) authorize(who identity, permission, resource string) error {
	return e.permit(who, serviceArtifacts, permission, resource)
}

// reach is authorize and then the repository itself.
func (e *Emulator) reach(who identity, permission, name string) (storedRepository, error) {
	if err := e.authorize(who, permission, name); err != nil {
		return storedRepository{}, err
	}
	r, ok := e.state.repository(name)
	if !ok {
		return storedRepository{}, notFound("Requested entity was not found.")
	}
	return r, nil
}

func (e *Emulator) getRepository(who identity, name string, request *http.Request) (any, error) {
	r, err := e.reach(who, permissionGet, name)
	if err != nil {
		return nil, err
	}
	return e.describe(r, request), nil
}

func (e *Emulator) listRepositories(who identity, parent string, r *http.Request) (any, error) {
	if err := e.authorize(who, permissionList, parent); err != nil {
		return nil, err
	}
	project, location, _ := strings.Cut(strings.TrimPrefix(parent, "projects/"), "/locations/")
	list := []repositoryJSON{}
	for _, known := range e.state.repositoriesOf(project, location) {
		list = append(list, e.describe(known, r))
	}
	return paged(r, "repositories", list)
}

func (e *Emulator) listLocations(who identity, parent string, r *http.Request) (any, error) {
	if err := e.authorize(who, permissionLocations, parent); err != nil {
		return nil, err
	}
	list := make([]map[string]string, 0, len(locations))
	for _, id := range locations {
		list = append(list, map[string]string{"name": parent + "/locations/" + id, "locationId": id})
	}
	return paged(r, "locations", list)
}

func (e *Emulator) getIAMPolicy(who identity, name string, r *http.Request) (any, error) {
	switch r.URL.Query().Get("options.requestedPolicyVersion") {
	case "", "0", "1", "3":
	default:
		return nil, invalidArgument("Invalid requested policy version. It must be one of 0, 1 or 3.")
	}
	if _, err := e.reach(who, permissionGetIAM, name); err != nil {
		return nil, err
	}
	return e.state.policy(name), nil
}

func (e *Emulator) setIAMPolicy(who identity, name string, r *http.Request) (any, error) {
	var in iampb.SetIamPolicyRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if _, err := e.reach(who, permissionSetIAM, name); err != nil {
		return nil, err
	}
	return e.state.replace(name, &in)
}

// testIAMPermissions answers for the caller only, and needs no permission.
func (e *Emulator) testIAMPermissions(who identity, name string, r *http.Request) (any, error) {
	var in iampb.TestIamPermissionsRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	var held []string
	for _, permission := range in.GetPermissions() {
		if e.state.may(who, permission, name) {
			held = append(held, permission)
		}
	}
	return &iampb.TestIamPermissionsResponse{Permissions: held}, nil
}
