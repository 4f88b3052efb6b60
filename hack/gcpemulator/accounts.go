// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
)

const serviceIAM = "iam.googleapis.com"

// roleEndpoint finds roles of Google's, of projects and of organizations by one path each.
func (e *Emulator) roleEndpoint(r *http.Request) endpoint {
	name := strings.TrimPrefix(r.URL.Path, "/v1/")
	if project := r.PathValue("project"); project != "" {
		name = "projects/" + e.state.projectID(project) + "/roles/" + r.PathValue("role")
	}
	return rpcEndpoint("roles.get", name, e.getRole, refuseAPI)
}

// getRole asks for no permission on Google's own roles, which everybody may read.
func (e *Emulator) getRole(who identity, name string, _ *http.Request) (any, error) {
	if !strings.HasPrefix(name, "roles/") {
		if err := e.permit(who, serviceIAM, permissionRole, name); err != nil {
			return nil, err
		}
	}
	e.state.mu.Lock()
	permissions, known := e.state.permissionsOf(name)
	e.state.mu.Unlock()
	if !known {
		return nil, notFound(fmt.Sprintf("The role named %s was not found.", name))
	}
	answer := map[string]any{"name": name, "title": name[strings.LastIndex(name, "/")+1:], "stage": "GA", "etag": "AA=="}
	if len(permissions) > 0 {
		answer["includedPermissions"] = permissions
	}
	return answer, nil
}

// accountEndpoint resolves the project "-", which stands for whichever has the account.
func (e *Emulator) accountEndpoint(r *http.Request) endpoint {
	project, email := e.state.projectID(r.PathValue("project")), strings.ToLower(r.PathValue("account"))
	if project == "-" {
		project = e.state.projectOfAccount(email)
	}
	return rpcEndpoint("serviceAccounts.get", "projects/"+project+"/serviceAccounts/"+email, e.getAccount, refuseAPI)
}

// projectOfAccount reads the project from an account's email.
func (s *state) projectOfAccount(email string) string {
	name, domain, _ := strings.Cut(email, "@")
	if project, ok := strings.CutSuffix(domain, ".iam.gserviceaccount.com"); ok {
		return project
	}
	return s.projectID(strings.TrimSuffix(name, "-compute"))
}

func (e *Emulator) getAccount(who identity, name string, _ *http.Request) (any, error) {
	if err := e.permit(who, serviceIAM, permissionAccount, name); err != nil {
		return nil, err
	}
	project, email, _ := strings.Cut(strings.TrimPrefix(name, "projects/"), "/serviceAccounts/")
	e.state.mu.Lock()
	exists := e.state.accounts[email]
	e.state.mu.Unlock()
	if !exists || project != e.state.projectOfAccount(email) {
		return nil, notFound("Unknown service account")
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(email))
	return map[string]string{
		"name": name, "projectId": project, "email": email, "uniqueId": strconv.FormatUint(sum.Sum64(), 10),
	}, nil
}
