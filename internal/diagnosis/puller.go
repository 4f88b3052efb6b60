// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"slices"
	"strings"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Node is the pod's node, by what leads to the account that it pulls as.
type Node struct {
	Name string
	// ProviderID is spec.providerID: gce://PROJECT/ZONE/INSTANCE on Google Cloud.
	ProviderID string
	// Pool is the name of its GKE node pool, "" if its labels name none.
	Pool string
	// Obstacle says why nothing else is known of it.
	Obstacle Obstacle
}

// Cluster is a GKE cluster. The zero value is none.
type Cluster struct {
	Project, Location, Name string
}

// Puller is the identity that asked the registry.
type Puller struct {
	// State is Present for a known service account, Missing when the node has none.
	State    State
	Obstacle Obstacle
	// Email is the node's service account.
	Email string
	// Scopes are the node's OAuth scopes, as URLs.
	Scopes []string
	// Node is the name of the pod's node, Pool that of its node pool, "" if unknown.
	Node, Pool string
	// Instance is PROJECT/ZONE/NAME, "" if the node names none.
	Instance string
	// Cluster is the GKE cluster that is looked at, if it is known.
	Cluster Cluster

	// Federated is Present when the pod's Kubernetes service account pulls by
	// Workload Identity Federation, and Missing when it is known not to.
	Federated State
	// Account is the name of that Kubernetes service account.
	Account string
	// Secrets are the pod's pull secrets. The API server has added those of its
	// Kubernetes service account: the kubelet looks at no others.
	Secrets []PullSecret
}

// PullSecret is one of the pod's pull secrets.
type PullSecret struct {
	Name string
	// State is Present when it has a credential for the image's registry, Missing
	// when it was read and has none, or does not exist.
	State    State
	Obstacle Obstacle
	// Email is the service account whose key it holds, "" if it holds none.
	Email string
}

// Member is the account as IAM writes it, "" unless it is known.
func (p Puller) Member() string {
	if p.State != Present || p.Email == "" {
		return ""
	}
	return v1alpha1.ServiceAccountMember(p.Email)
}

// secret is the first pull secret that has, or may have, a credential for the
// registry: it is tried before the node's own.
func (p Puller) secret() (PullSecret, bool) {
	for _, s := range p.Secrets {
		if s.State != Missing {
			return s, true
		}
	}
	return PullSecret{}, false
}

// Alone tells whether no pull secret may have been tried besides.
func (p Puller) Alone() bool {
	_, used := p.secret()
	return !used
}

// IsComputeDefault tells whether the account is Compute Engine's default one of
// some project, which whole projects share.
func IsComputeDefault(email string) bool {
	return strings.HasSuffix(strings.ToLower(email), "-compute@developer.gserviceaccount.com")
}

// pullScopes let a node's token read images; each suffices.
// https://cloud.google.com/artifact-registry/docs/access-control#gke
var pullScopes = []string{
	"https://www.googleapis.com/auth/cloud-platform",
	"https://www.googleapis.com/auth/devstorage.read_only",
	"https://www.googleapis.com/auth/devstorage.read_write",
	"https://www.googleapis.com/auth/devstorage.full_control",
}

func (p Puller) scopesSuffice() bool {
	return slices.ContainsFunc(p.Scopes, func(s string) bool { return slices.Contains(pullScopes, s) })
}
