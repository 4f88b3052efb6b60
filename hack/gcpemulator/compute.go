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

// Instance is one virtual machine.
type Instance struct {
	Project, Zone, Name string
	// ServiceAccount is the email of its account; empty is none.
	ServiceAccount string
	// Scopes are the OAuth scopes of its tokens: cloud-platform if nil, none if
	// empty. The short names of gcloud ("devstorage.read_only") will do.
	Scopes []string
	Labels map[string]string
	// Attributes are what its metadata server tells besides, such as "cluster-name".
	Attributes map[string]string
}

const (
	scopePrefix        = "https://www.googleapis.com/auth/"
	scopeCloudPlatform = scopePrefix + "cloud-platform"
)

func (i Instance) resourceName() string {
	return "projects/" + i.Project + "/zones/" + i.Zone + "/instances/" + i.Name
}

// id is the number that an instance keeps for life.
func (i Instance) id() string {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(i.resourceName()))
	return strconv.FormatUint(sum.Sum64(), 10)
}

func (i Instance) scopes() []string { return fullScopes(i.Scopes) }

func fullScopes(scopes []string) []string {
	if scopes == nil {
		return []string{scopeCloudPlatform}
	}
	full := make([]string, 0, len(scopes))
	for _, scope := range scopes {
		if !strings.Contains(scope, "://") {
			scope = scopePrefix + scope
		}
		full = append(full, scope)
	}
	return full
}

// AddInstance makes a virtual machine, or replaces the one of that name. Its
// service account is not made with it.
func (e *Emulator) AddInstance(i Instance) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.instances[i.resourceName()] = i
}

func (s *state) instance(name string) (Instance, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.instances[name]
	return i, ok
}

func (e *Emulator) instanceEndpoint(r *http.Request) endpoint {
	name := Instance{
		Project: e.state.projectID(r.PathValue("project")), Zone: r.PathValue("zone"), Name: r.PathValue("instance"),
	}.resourceName()
	return rpcEndpoint("instances.get", name, e.getInstance, refuseCompute)
}

// instanceJSON is the part of Compute Engine's instance that is emulated.
type instanceJSON struct {
	Kind            string               `json:"kind"`
	ID              string               `json:"id"`
	Name            string               `json:"name"`
	Zone            string               `json:"zone"`
	Status          string               `json:"status"`
	SelfLink        string               `json:"selfLink"`
	Labels          map[string]string    `json:"labels,omitempty"`
	ServiceAccounts []serviceAccountJSON `json:"serviceAccounts,omitempty"`
}

type serviceAccountJSON struct {
	Email  string   `json:"email"`
	Scopes []string `json:"scopes"`
}

func (e *Emulator) getInstance(who identity, name string, _ *http.Request) (any, error) {
	if !e.state.may(who, permissionInstance, name) {
		return nil, &refusal{
			http:    http.StatusForbidden,
			message: fmt.Sprintf("Required 'compute.instances.get' permission for '%s'", name),
		}
	}
	i, ok := e.state.instance(name)
	if !ok {
		return nil, notFound(fmt.Sprintf("The resource '%s' was not found", name))
	}
	base := e.url + "/compute/v1/"
	answer := instanceJSON{
		Kind: "compute#instance", ID: i.id(), Name: i.Name, Status: "RUNNING", Labels: i.Labels,
		Zone:     base + "projects/" + i.Project + "/zones/" + i.Zone,
		SelfLink: base + name,
	}
	if i.ServiceAccount != "" {
		answer.ServiceAccounts = []serviceAccountJSON{{Email: i.ServiceAccount, Scopes: i.scopes()}}
	}
	return answer, nil
}
