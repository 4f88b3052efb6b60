// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/container/v1"
)

func (e *Emulator) poolsEndpoint(r *http.Request) endpoint {
	return rpcEndpoint("nodePools.create", e.clusterPath(r), e.createPool, refuseAPI)
}

func (e *Emulator) poolEndpoint(r *http.Request) endpoint {
	return rpcEndpoint("nodePools.get", e.clusterPath(r)+"/nodePools/"+r.PathValue("pool"), e.getPool, refuseAPI)
}

func (e *Emulator) getPool(who identity, name string, _ *http.Request) (any, error) {
	cluster, id, _ := strings.Cut(name, "/nodePools/")
	c, err := e.reachCluster(who, permissionCluster, cluster)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(c.NodePools, func(p NodePool) bool { return p.Name == id })
	if at < 0 {
		return nil, notFound("Not found: " + name + ".")
	}
	return e.describePool(cluster, c.NodePools[at]), nil
}

// createPool makes the pool at once; its nodes are not made with it.
func (e *Emulator) createPool(who identity, name string, r *http.Request) (any, error) {
	var in container.CreateNodePoolRequest
	if err := decodeJSON(r, &in); err != nil {
		return nil, err
	}
	if in.NodePool == nil || in.NodePool.Name == "" {
		return nil, invalidArgument("NodePool.name must be set.")
	}
	c, err := e.reachCluster(who, permissionPool, name)
	if err != nil {
		return nil, err
	}
	pool := NodePool{Name: in.NodePool.Name, ServiceAccount: "default", Scopes: []string{}}
	if config := in.NodePool.Config; config != nil {
		pool.ServiceAccount = cmp.Or(config.ServiceAccount, "default")
		pool.Scopes = slices.Concat(pool.Scopes, config.OauthScopes)
	}
	if !e.state.addPool(name, pool) {
		return nil, alreadyExists("Already exists: " + name + "/nodePools/" + pool.Name + ".")
	}
	target := e.url + "/v1/" + name + "/nodePools/" + pool.Name
	return e.state.operate(c.Project, c.Location, operationPrefix, func(_, id string, at time.Time) map[string]any {
		return map[string]any{
			"name": id, "operationType": "CREATE_NODE_POOL", "status": "DONE", "zone": c.Location, "location": c.Location,
			"selfLink":   e.url + "/v1/projects/" + c.Project + "/locations/" + c.Location + "/operations/" + id,
			"targetLink": target, "startTime": at.Format(time.RFC3339Nano), "endTime": at.Format(time.RFC3339Nano),
		}
	}), nil
}

// addPool adds to the cluster as it is by now; false if it has such a pool.
func (s *state) addPool(cluster string, pool NodePool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[cluster]
	if slices.ContainsFunc(c.NodePools, func(p NodePool) bool { return p.Name == pool.Name }) {
		return false
	}
	c.NodePools = append(slices.Clone(c.NodePools), pool)
	s.clusters[cluster] = c
	return true
}
