// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package imageref

import (
	"slices"
	"strings"
)

// publicHosts serve images that Google or the Kubernetes community keeps for everybody.
var publicHosts = []string{
	"registry.k8s.io", "k8s.gcr.io", "gke.gcr.io", "mirror.gcr.io", "marketplace.gcr.io", "container.cloud.google.com",
}

// publicProjects hold such images behind the hosts of Artifact Registry.
// https://cloud.google.com/artifact-registry/docs/transition/gcr-repositories
var publicProjects = []string{
	"cloud-builders", "cloud-marketplace", "cloud-sql-connectors", "cloudrun", "cloudsql-docker", "distroless", "gke-release",
	"gke-release-staging", "google-containers", "google_containers", "google-samples", "google.com:cloudsdktool",
	"k8s-artifacts-prod", "k8s-staging-images", "kaniko-project", "knative-releases", "kubebuilder",
}

// Public tells whether the image is one that Google or the Kubernetes community
// keeps for everybody. Nobody who runs this operator can open its repository.
// The list is not complete: what keeps others out is that a policy names projects.
func (i Image) Public() bool {
	switch {
	case slices.Contains(publicHosts, i.Registry), strings.HasSuffix(i.Registry, "-artifactregistry.gcr.io"):
		return true
	case !i.Google():
		return false
	}
	project := i.Repository.Project
	return slices.Contains(publicProjects, project) || strings.HasPrefix(project, "google.com:")
}
