// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
)

const (
	serviceProjects = "cloudresourcemanager.googleapis.com"
	serviceBilling  = "cloudbilling.googleapis.com"
)

// projectPath takes a project and a verb from a path. The ID of a domain-scoped
// project holds a colon too, so the verb stands behind the last one.
func (e *Emulator) projectPath(r *http.Request) (name, verb string) {
	project := r.PathValue("project")
	if at := strings.LastIndex(project, ":"); at >= 0 && r.Method == http.MethodPost {
		project, verb = project[:at], project[at+1:]
	}
	return "projects/" + e.state.projectID(project), verb
}

// projectEndpoint serves both versions of the API: gcloud speaks the first.
func (e *Emulator) projectEndpoint(r *http.Request) endpoint {
	name, verb := e.projectPath(r)
	switch r.Method + " " + verb {
	case "GET ":
		call := e.getProject
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			call = e.getProjectV1
		}
		return rpcEndpoint("projects.get", name, call, refuseAPI)
	case "POST getIamPolicy":
		return rpcEndpoint("projects.getIamPolicy", name, e.getProjectPolicy, refuseAPI)
	case "POST setIamPolicy":
		return rpcEndpoint("projects.setIamPolicy", name, e.setProjectPolicy, refuseAPI)
	case "POST testIamPermissions":
		return rpcEndpoint("projects.testIamPermissions", name, e.testIAMPermissions, refuseAPI)
	}
	return unknownEndpoint(r)
}

func (e *Emulator) billingEndpoint(r *http.Request) endpoint {
	name, _ := e.projectPath(r)
	return rpcEndpoint("projects.getBillingInfo", name, e.getBillingInfo, refuseAPI)
}

// project is what is known of a project by its resource name. One that was only
// used, and never made, has no number.
func (s *state) project(name string) (id string, number int64, parent string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = strings.TrimPrefix(name, "projects/")
	number, ok = s.projects[id]
	return id, number, s.parents[name], ok
}

// permit refuses a caller in the words that most of Google's APIs share.
func (e *Emulator) permit(who identity, service, permission, resource string) error {
	if e.state.may(who, permission, resource) {
		return nil
	}
	return denial(service, permission, resource)
}

func denial(service, permission, resource string) *refusal {
	r := &refusal{
		http: http.StatusForbidden, code: "PERMISSION_DENIED",
		permission: permission, resource: resource, service: service,
		message: fmt.Sprintf("Permission '%s' denied on resource '//%s/%s' (or it may not exist).", permission, service, resource),
	}
	if service == serviceProjects && strings.HasSuffix(permission, "IamPolicy") {
		r.message = "The caller does not have permission" // The older text, which Artifact Registry no longer uses.
	}
	return r
}

func (e *Emulator) getProject(who identity, name string, _ *http.Request) (any, error) {
	if err := e.permit(who, serviceProjects, permissionProject, name); err != nil {
		return nil, err
	}
	id, number, parent, ok := e.state.project(name)
	if !ok {
		return nil, denial(serviceProjects, permissionProject, name) // Who may not know and what is not there look the same.
	}
	answer := map[string]string{
		"name": "projects/" + strconv.FormatInt(number, 10), "projectId": id, "displayName": id, "state": "ACTIVE",
	}
	if parent != "" {
		answer["parent"] = parent
	}
	return answer, nil
}

func (e *Emulator) getProjectV1(who identity, name string, _ *http.Request) (any, error) {
	if err := e.permit(who, serviceProjects, permissionProject, name); err != nil {
		return nil, err
	}
	id, number, parent, ok := e.state.project(name)
	if !ok {
		return nil, denial(serviceProjects, permissionProject, name)
	}
	answer := map[string]any{
		"projectNumber": strconv.FormatInt(number, 10), "projectId": id, "name": id, "lifecycleState": "ACTIVE",
	}
	if kind, parentID, found := strings.Cut(parent, "s/"); found {
		answer["parent"] = map[string]string{"type": kind, "id": parentID}
	}
	return answer, nil
}

// getProjectPolicy needs no AddProject: the projects of repositories have policies too.
func (e *Emulator) getProjectPolicy(who identity, name string, _ *http.Request) (any, error) {
	if err := e.reachProject(who, serviceProjects, permissionProjectIAM, name); err != nil {
		return nil, err
	}
	return e.state.policy(name), nil
}

func (e *Emulator) setProjectPolicy(who identity, name string, r *http.Request) (any, error) {
	var in iampb.SetIamPolicyRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := e.reachProject(who, serviceProjects, permissionSetProject, name); err != nil {
		return nil, err
	}
	return e.state.replace(name, &in)
}

// reachProject is permit and then the project itself: who may not know, and what
// is not there, look the same.
func (e *Emulator) reachProject(who identity, service, permission, name string) error {
	if !e.state.may(who, permission, name) || !e.state.knowsProject(name) {
		return denial(service, permission, name)
	}
	return nil
}

// knowsProject tells whether a project was made or used.
func (s *state) knowsProject(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strings.TrimPrefix(name, "projects/")
	if _, made := s.projects[id]; made || len(s.policies[name]) > 0 {
		return true
	}
	for _, r := range s.repositories {
		if r.Project == id {
			return true
		}
	}
	return false
}

func (e *Emulator) getBillingInfo(who identity, name string, _ *http.Request) (any, error) {
	if err := e.reachProject(who, serviceBilling, permissionBilling, name); err != nil {
		return nil, err
	}
	id := strings.TrimPrefix(name, "projects/")
	account, enabled := "billingAccounts/000000-417417-000000", true
	if e.state.blockage(id) == BillingDisabled {
		account, enabled = "", false
	}
	return map[string]any{
		"name": name + "/billingInfo", "projectId": id, "billingAccountName": account, "billingEnabled": enabled,
	}, nil
}
