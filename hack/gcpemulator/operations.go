// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// operationPrefix begins the IDs of GKE's operations; others are Artifact
// Registry's. Both are found at the same path, as all APIs share one address.
const operationPrefix = "operation-"

func (e *Emulator) operationEndpoint(r *http.Request) endpoint {
	id := r.PathValue("operation")
	name := operationName(e.state.projectID(r.PathValue("project")), r.PathValue("location"), id)
	if strings.HasPrefix(id, operationPrefix) {
		return rpcEndpoint("operations.get", name, e.getContainerOperation, refuseAPI)
	}
	return e.api("GetOperation", name, e.getOperation)
}

func operationName(project, location, id string) string {
	return "projects/" + project + "/locations/" + location + "/operations/" + id
}

// operate keeps the operation that describe makes of a name and a time, done
// from the beginning.
func (s *state) operate(project, location, prefix string, describe func(name, id string, at time.Time) map[string]any) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.clock.Now().UTC()
	id := prefix + strconv.FormatInt(at.UnixMilli(), 10) + "-" + strconv.Itoa(len(s.operations)+1)
	name := operationName(project, location, id)
	s.operations[name] = describe(name, id, at)
	return s.operations[name]
}

func (s *state) operation(name string) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.operations[name]; ok {
		return known, nil
	}
	return nil, notFound("Requested entity was not found.")
}

// getOperation asks for no permission: who knows the ID has started it.
func (e *Emulator) getOperation(_ identity, name string, _ *http.Request) (any, error) {
	return e.state.operation(name)
}

func (e *Emulator) getContainerOperation(who identity, name string, _ *http.Request) (any, error) {
	if err := e.permit(who, "container.googleapis.com", permissionPoolWatch, name); err != nil {
		return nil, err
	}
	return e.state.operation(name)
}
