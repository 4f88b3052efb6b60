// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"fmt"
	"net/http"
	"slices"

	"google.golang.org/api/container/v1"
)

// Cluster is one GKE cluster.
type Cluster struct {
	Project, Location, Name string
	Autopilot               bool
	// Autoprovisioning is what node pools are made with that nobody asked for, an
	// Autopilot cluster's too; its name is not used. Nil leaves it unsaid.
	Autoprovisioning *NodePool
	NodePools        []NodePool
}

// NodePool is one node pool of a cluster.
type NodePool struct {
	Name string
	// ServiceAccount is as GKE keeps it: an email, "default" or nothing at all;
	// both of the latter are the default account of Compute Engine.
	ServiceAccount string
	// Scopes are as in Instance.
	Scopes []string
}

func (c Cluster) resourceName() string {
	return "projects/" + c.Project + "/locations/" + c.Location + "/clusters/" + c.Name
}

// AddCluster makes a cluster, or replaces the one of that name. Its nodes are
// not made with it: see AddInstance.
func (e *Emulator) AddCluster(c Cluster) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	c.NodePools = slices.Clone(c.NodePools)
	e.state.clusters[c.resourceName()] = c
}

func (s *state) cluster(name string) (Cluster, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clusters[name]
	c.NodePools = slices.Clone(c.NodePools)
	return c, ok
}

func (e *Emulator) clusterPath(r *http.Request) string {
	return Cluster{
		Project: e.state.projectID(r.PathValue("project")), Location: r.PathValue("location"), Name: r.PathValue("cluster"),
	}.resourceName()
}

func (e *Emulator) clusterEndpoint(r *http.Request) endpoint {
	return rpcEndpoint("clusters.get", e.clusterPath(r), e.getCluster, refuseAPI)
}

// reachCluster is permission and then the cluster itself, in GKE's words.
func (e *Emulator) reachCluster(who identity, permission, name string) (Cluster, error) {
	if !e.state.may(who, permission, name) {
		return Cluster{}, &refusal{
			http: http.StatusForbidden, code: "PERMISSION_DENIED",
			permission: permission, resource: name, service: "container.googleapis.com",
			message: fmt.Sprintf("Required %q permission(s) for %q.", permission, name),
		}
	}
	c, ok := e.state.cluster(name)
	if !ok {
		return Cluster{}, notFound(fmt.Sprintf("Not found: %s.", name))
	}
	return c, nil
}

func (e *Emulator) getCluster(who identity, name string, _ *http.Request) (any, error) {
	c, err := e.reachCluster(who, permissionCluster, name)
	if err != nil {
		return nil, err
	}
	answer := &container.Cluster{
		Name: c.Name, Location: c.Location, Status: "RUNNING", SelfLink: e.url + "/v1/" + name,
		Autopilot:   &container.Autopilot{Enabled: c.Autopilot},
		Autoscaling: &container.ClusterAutoscaling{EnableNodeAutoprovisioning: c.Autoprovisioning != nil},
	}
	if made := c.Autoprovisioning; made != nil {
		answer.Autoscaling.AutoprovisioningNodePoolDefaults = &container.AutoprovisioningNodePoolDefaults{
			ServiceAccount: made.ServiceAccount, OauthScopes: fullScopes(made.Scopes),
		}
	}
	for _, pool := range c.NodePools {
		answer.NodePools = append(answer.NodePools, e.describePool(name, pool))
	}
	return answer, nil
}

func (e *Emulator) describePool(cluster string, pool NodePool) *container.NodePool {
	return &container.NodePool{
		Name: pool.Name, Status: "RUNNING", SelfLink: e.url + "/v1/" + cluster + "/nodePools/" + pool.Name,
		Config: &container.NodeConfig{ServiceAccount: pool.ServiceAccount, OauthScopes: fullScopes(pool.Scopes)},
	}
}
