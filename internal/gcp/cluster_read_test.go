// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// TestOneReadOfAClusterServesItsNodes counts what is sent.
func TestOneReadOfAClusterServesItsNodes(t *testing.T) {
	g := newCluster(t, gcpemulator.Cluster{NodePools: []gcpemulator.NodePool{{Name: "main"}, {Name: "more"}}})
	read := func(pool string, wantClusters, wantProjects int) {
		t.Helper()
		g.nodeAccount(t, diagnosis.Node{Pool: pool})
		if clusters, projects := g.count("clusters.get"), g.count("projects.get"); clusters != wantClusters || projects != wantProjects {
			t.Errorf("%s: %d reads of the cluster and %d of the project so far, want %d and %d", pool, clusters, projects, wantClusters, wantProjects)
		}
	}
	read("gone", 1, 0) // This very read does not list it, so there is no need of another one.
	read("main", 1, 1)
	read("more", 1, 1)
	read("main", 1, 1)
	read("gone", 2, 1) // It may have been made since.
	read("main", 2, 1)
	g.clock.Step(clusterTTL + time.Nanosecond)
	read("main", 3, 1) // Pools come and go, the number stays.
}

// TestAPoolMadeSinceTheClusterWasRead may have an account of its own, also where
// the cluster tells with what its pools are made.
func TestAPoolMadeSinceTheClusterWasRead(t *testing.T) {
	made := &gcpemulator.NodePool{ServiceAccount: batch}
	for name, cluster := range map[string]gcpemulator.Cluster{
		"Autopilot": {Autopilot: true, Autoprovisioning: made},
		"standard":  {Autoprovisioning: made},
	} {
		t.Run(name, func(t *testing.T) {
			cluster.NodePools = []gcpemulator.NodePool{{Name: "main", ServiceAccount: batch}}
			g := newCluster(t, cluster)
			g.nodeAccount(t, diagnosis.Node{Pool: "main"})

			cluster.Project, cluster.Location, cluster.Name = prod.Project, prod.Location, prod.Name
			cluster.NodePools = append(cluster.NodePools, gcpemulator.NodePool{Name: "nap-1", ServiceAccount: nodes})
			g.AddCluster(cluster)
			if got := g.nodeAccount(t, diagnosis.Node{Pool: "nap-1"}); got.Email != nodes {
				t.Errorf("got %q of %+v, want the pool's own account %q", got.Email, got.Obstacle, nodes)
			}
		})
	}
}

// TestAnUnlistedPoolIsUnknownWhenTheClusterCannotBeReadAgain: what is remembered
// is older than the pool may be.
func TestAnUnlistedPoolIsUnknownWhenTheClusterCannotBeReadAgain(t *testing.T) {
	g := newCluster(t, gcpemulator.Cluster{
		Autopilot: true, Autoprovisioning: &gcpemulator.NodePool{ServiceAccount: batch},
		NodePools: []gcpemulator.NodePool{{Name: "main", ServiceAccount: batch}},
	})
	g.nodeAccount(t, diagnosis.Node{Pool: "main"})
	g.InjectFault(gcpemulator.Fault{Method: "clusters.get", HTTPStatus: http.StatusServiceUnavailable})
	if got := g.nodeAccount(t, diagnosis.Node{Pool: "x"}); got.Member() != "" || got.Obstacle.Kind != diagnosis.Unavailable {
		t.Errorf("got %+v, want nobody for now", got)
	}
}

// TestManyNodesOfAnUnlistedPoolShareARead: one of them renews what all of them saw.
func TestManyNodesOfAnUnlistedPoolShareARead(t *testing.T) {
	reads := newCache[string](clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)), 1, 0, func(int) time.Duration { return time.Hour })
	made := 0
	get := func() int {
		return reads.get(t.Context(), "prod", func(context.Context) int { made++; return made }) // 0 is given up.
	}
	again := func(seen int) int {
		reads.forget("prod", func(answer int) bool { return answer == seen })
		return get()
	}
	if get() != 1 {
		t.Fatalf("%d reads were made, want 1", made)
	}
	for range 3 { // All of them saw the same, and want a newer answer.
		if again(1) != 2 {
			t.Errorf("%d reads were made, want 2", made)
		}
	}
	if again(2) != 3 {
		t.Errorf("%d reads were made, want 3: this one saw the last", made)
	}
}

// TestNodesOfUnlistedPoolsAtTheSameTime are all answered.
func TestNodesOfUnlistedPoolsAtTheSameTime(t *testing.T) {
	g := newCluster(t, gcpemulator.Cluster{Autopilot: true, Autoprovisioning: &gcpemulator.NodePool{ServiceAccount: batch}})
	want := diagnosis.Puller{State: diagnosis.Present, Email: batch, Scopes: []string{fullScope}}
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			got, _ := g.client.NodeAccount(t.Context(), diagnosis.Node{Pool: fmt.Sprint("pool-", n)})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	all.Wait()
}
