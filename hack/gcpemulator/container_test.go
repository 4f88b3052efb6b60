// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"net/http"
	"slices"
	"testing"

	"google.golang.org/api/container/v1"
	"google.golang.org/api/option"
)

func TestClusters(t *testing.T) {
	e, _ := newEmulator(t)
	const prod = "projects/acme/locations/us-central1/clusters/prod"
	e.AddCluster(Cluster{
		Project: "acme", Location: "us-central1", Name: "prod", Autopilot: true,
		Autoprovisioning: &NodePool{ServiceAccount: node, Scopes: []string{"devstorage.read_only"}},
		NodePools:        []NodePool{{Name: "a"}, {Name: "b", ServiceAccount: "default", Scopes: []string{}}},
	})
	service, err := container.NewService(t.Context(), option.WithEndpoint(e.URL()), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	clusters := service.Projects.Locations.Clusters

	got, err := clusters.Get(prod).Do()
	if err != nil {
		t.Fatal(err)
	}
	if made := got.Autoscaling.AutoprovisioningNodePoolDefaults; !got.Autopilot.Enabled || made.ServiceAccount != node ||
		!slices.Equal(made.OauthScopes, []string{scopePrefix + "devstorage.read_only"}) {
		t.Errorf("got %+v, %+v", got.Autopilot, made)
	}
	if pools := got.NodePools; len(pools) != 2 || pools[0].Config.ServiceAccount != "" || len(pools[0].Config.OauthScopes) != 1 ||
		pools[1].Config.ServiceAccount != "default" || len(pools[1].Config.OauthScopes) != 0 {
		t.Errorf("node pools are %+v", pools)
	}

	operation, err := clusters.NodePools.Create(prod, &container.CreateNodePoolRequest{NodePool: &container.NodePool{Name: "c"}}).Do()
	if err != nil {
		t.Fatal(err)
	}
	if operation, err = service.Projects.Locations.Operations.Get("projects/417/locations/us-central1/operations/" + operation.Name).Do(); err != nil || operation.Status != "DONE" {
		t.Errorf("the operation is %+v, %v", operation, err)
	}
	if pool, err := clusters.NodePools.Get(prod + "/nodePools/c").Do(); err != nil || pool.Config.ServiceAccount != "default" || len(pool.Config.OauthScopes) != 0 {
		t.Errorf("a pool without settings: got %+v, %v", pool, err)
	}
	_, err = clusters.NodePools.Create(prod, &container.CreateNodePoolRequest{NodePool: &container.NodePool{Name: "c"}}).Do()
	refusedWith(t, err, http.StatusConflict, "Already exists")

	_, err = clusters.Get("projects/acme/locations/us-central1/clusters/none").Do()
	refusedWith(t, err, http.StatusNotFound, "Not found: projects/acme/locations/us-central1/clusters/none")
	e.RestrictCaller("", permissionInstance)
	_, err = clusters.Get(prod).Do()
	refusedWith(t, err, http.StatusForbidden, `Required "container.clusters.get" permission(s)`)
}
