// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"net/http"
	"strconv"
	"strings"
)

const (
	serviceUsage   = "serviceusage.googleapis.com"
	serviceLogging = "logging.googleapis.com"
)

// serviceEndpoint reads and enables one API of a project.
func (e *Emulator) serviceEndpoint(r *http.Request) endpoint {
	service, verb, _ := strings.Cut(r.PathValue("service"), ":")
	name := "projects/" + e.state.projectID(r.PathValue("project")) + "/services/" + service
	switch r.Method + " " + verb {
	case "GET ":
		return rpcEndpoint("services.get", name, e.getService, refuseAPI)
	case "POST enable":
		return rpcEndpoint("services.enable", name, e.enableService, refuseAPI)
	}
	return unknownEndpoint(r)
}

func (e *Emulator) getService(who identity, name string, _ *http.Request) (any, error) {
	if err := e.permit(who, serviceUsage, permissionUseServices, name); err != nil {
		return nil, err
	}
	return e.describeService(name), nil
}

// enableService is done at once. No API but Artifact Registry's can be disabled here.
func (e *Emulator) enableService(who identity, name string, _ *http.Request) (any, error) {
	if err := e.permit(who, serviceUsage, permissionEnable, name); err != nil {
		return nil, err
	}
	project, service := serviceOf(name)
	if service == serviceArtifacts && e.state.blockage(project) == APIDisabled {
		e.Unblock(project)
	}
	return map[string]any{
		"name": "operations/acat.p2-" + strconv.FormatInt(e.state.projectNumber(project), 10), "done": true,
		"response": map[string]any{
			"@type":   "type.googleapis.com/google.api.serviceusage.v1.EnableServiceResponse",
			"service": e.describeService(name),
		},
	}, nil
}

func serviceOf(name string) (project, service string) {
	project, service, _ = strings.Cut(strings.TrimPrefix(name, "projects/"), "/services/")
	return project, service
}

func (e *Emulator) describeService(name string) map[string]any {
	project, service := serviceOf(name)
	state := "ENABLED"
	if service == serviceArtifacts && e.state.blockage(project) == APIDisabled {
		state = "DISABLED"
	}
	number := strconv.FormatInt(e.state.projectNumber(project), 10)
	return map[string]any{
		"name": "projects/" + number + "/services/" + service, "parent": "projects/" + number,
		"config": map[string]string{"name": service}, "state": state,
	}
}

func (e *Emulator) logsEndpoint(*http.Request) endpoint {
	return rpcEndpoint("entries.list", "entries", e.listLogEntries, refuseAPI)
}

// listLogEntries finds none: nothing here writes logs.
func (e *Emulator) listLogEntries(who identity, _ string, r *http.Request) (any, error) {
	var in struct {
		ResourceNames []string `json:"resourceNames"`
	}
	if err := decodeJSON(r, &in); err != nil {
		return nil, err
	}
	if len(in.ResourceNames) == 0 {
		return nil, invalidArgument("Missing required field: resource_names")
	}
	for _, name := range in.ResourceNames {
		if err := e.permit(who, serviceLogging, permissionLogs, name); err != nil {
			return nil, err
		}
	}
	return map[string]any{}, nil
}
