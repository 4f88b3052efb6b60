// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// Repositories are the Artifact Registry repositories that a pod of this spec
// pulls from, each once: for containers of every sort, and for image volumes. What
// is no valid reference is never pulled.
func Repositories(spec *corev1.PodSpec) []imageref.Repository {
	var repositories []imageref.Repository
	add := func(reference string) {
		image, err := imageref.Parse(reference)
		if err == nil && !image.Repository.IsZero() && !slices.Contains(repositories, image.Repository) {
			repositories = append(repositories, image.Repository)
		}
	}
	for i := range spec.InitContainers {
		add(spec.InitContainers[i].Image)
	}
	for i := range spec.Containers {
		add(spec.Containers[i].Image)
	}
	for i := range spec.EphemeralContainers {
		add(spec.EphemeralContainers[i].Image)
	}
	for i := range spec.Volumes {
		if image := spec.Volumes[i].Image; image != nil {
			add(image.Reference)
		}
	}
	return repositories
}
