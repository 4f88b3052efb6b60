// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/compute/metadata"
	"google.golang.org/api/container/v1"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// permissionGetCluster is what reading a cluster takes, its node pools included.
const permissionGetCluster = "container.clusters.get"

// metadataTimeout bounds looking for a metadata server: elsewhere there is none.
const metadataTimeout = 3 * time.Second

// clusterName is how the GKE API names a cluster. The project is named by its
// ID, which begins with a letter: nodes name it so, and are compared with it.
var clusterName = regexp.MustCompile(
	`^projects/((?:[a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]*)/locations/([a-z][a-z0-9-]*)/clusters/([a-z][a-z0-9-]*)$`)

// ParseCluster reads projects/PROJECT/locations/LOCATION/clusters/NAME.
func ParseCluster(name string) (diagnosis.Cluster, error) {
	parts := clusterName.FindStringSubmatch(name)
	if parts == nil {
		return diagnosis.Cluster{}, fmt.Errorf(
			"%q: it must read projects/PROJECT_ID/locations/LOCATION/clusters/NAME", clean(name))
	}
	return diagnosis.Cluster{Project: parts[1], Location: parts[2], Name: parts[3]}, nil
}

// FindCluster asks the metadata server in which GKE cluster this program runs.
// Outside of GKE it says so within three seconds.
func FindCluster(ctx context.Context) (diagnosis.Cluster, bool) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	server := metadata.NewClient(nil)
	var values [3]string
	for n, path := range []string{"project/project-id", "instance/attributes/cluster-location", "instance/attributes/cluster-name"} {
		value, err := server.GetWithContext(ctx, path)
		if err != nil {
			return diagnosis.Cluster{}, false
		}
		values[n] = strings.TrimSpace(value)
	}
	found, err := ParseCluster("projects/" + values[0] + "/locations/" + values[1] + "/clusters/" + values[2])
	return found, err == nil
}

// account is as whom the nodes of a pool run.
type account struct {
	email  string
	scopes []string
}

// fromPool says as whom the nodes of the node's pool run.
func (c *Client) fromPool(ctx context.Context, node diagnosis.Node) (account, diagnosis.Obstacle) {
	if node.Pool == "" {
		return account{}, unreadable("the node's labels name no node pool")
	}
	cluster, f := c.clusterWith(ctx, node.Pool)
	switch {
	case f != nil && f.kind == notFound:
		return account{}, unreadable(fmt.Sprintf("GKE has no cluster %s in %s of project %s", c.cluster.Name, c.cluster.Location, c.cluster.Project))
	case f != nil:
		return account{}, c.obstacle(ctx, f, c.cluster.Project, permissionGetCluster)
	}
	found, detail := poolAccount(cluster, node.Pool)
	if detail != "" {
		return account{}, unreadable(detail)
	}
	if found.email != "" && found.email != defaultAccount {
		return found, diagnosis.Obstacle{}
	}
	number, f := c.projectNumber(ctx, c.cluster.Project)
	if f != nil {
		return account{}, f.obstacle(permissionGetProject)
	}
	found.email = number + "-compute@developer.gserviceaccount.com"
	return found, diagnosis.Obstacle{}
}

// defaultAccount is what GKE calls Compute Engine's default account; it may also
// leave it out.
const defaultAccount = "default"

// poolAccount finds the account of the node pool in what GKE told, or says why it
// does not. Pools that GKE makes by itself are listed as well, and may have an
// account of their own; what they are made with counts for Autopilot alone, which
// keeps its pools to itself.
func poolAccount(cluster *container.Cluster, pool string) (account, string) {
	if at := indexOf(cluster, pool); at >= 0 {
		if config := cluster.NodePools[at].Config; config != nil {
			return account{config.ServiceAccount, config.OauthScopes}, ""
		}
		return account{}, "GKE does not tell as whom node pool " + clean(pool) + " runs"
	}
	if cluster.Autopilot == nil || !cluster.Autopilot.Enabled {
		return account{}, fmt.Sprintf("the cluster has no node pool %q", clean(pool))
	}
	if cluster.Autoscaling != nil {
		// Without scopes it is not told which ones GKE takes.
		if d := cluster.Autoscaling.AutoprovisioningNodePoolDefaults; d != nil && len(d.OauthScopes) > 0 {
			return account{d.ServiceAccount, d.OauthScopes}, ""
		}
	}
	return account{}, "the cluster does not tell as whom the node pools run that it makes by itself"
}

func indexOf(cluster *container.Cluster, pool string) int {
	return slices.IndexFunc(cluster.NodePools, func(p *container.NodePool) bool { return p.Name == pool })
}

// clusterWith reads the cluster once for all its nodes, and once more when that
// was before a pool was made: the node is there, so its pool is by now.
func (c *Client) clusterWith(ctx context.Context, pool string) (*container.Cluster, *fault) {
	fresh := false
	ask := func() (*container.Cluster, *fault) {
		return remember(ctx, c.shared.clusters, c.cluster, func(ctx context.Context) (*container.Cluster, *fault) {
			fresh = true
			return c.readCluster(ctx)
		})
	}
	found, f := ask()
	if f != nil || fresh || indexOf(found, pool) >= 0 {
		return found, f
	}
	c.shared.clusters.forget(c.cluster, func(r read[*container.Cluster]) bool { return r.value == found })
	return ask()
}

func (c *Client) readCluster(ctx context.Context) (found *container.Cluster, f *fault) {
	name := "projects/" + c.cluster.Project + "/locations/" + c.cluster.Location + "/clusters/" + c.cluster.Name
	f = c.readCall(ctx, target{kubernetesEngine, c.cluster.Project}, func(ctx context.Context, s *apis) (err error) {
		found, err = s.clusters.Get(name).Fields(
			"nodePools(name,config(serviceAccount,oauthScopes))", "autopilot(enabled)",
			"autoscaling(autoprovisioningNodePoolDefaults(serviceAccount,oauthScopes))",
		).Context(ctx).Do()
		return err
	})
	return found, f
}
