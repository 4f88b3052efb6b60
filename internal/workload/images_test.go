// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

func TestRepositories(t *testing.T) {
	const host = "us-central1-docker.pkg.dev/acme-prod/"
	container := func(image string) []corev1.Container { return []corev1.Container{{Image: image}} }
	tests := map[string]struct {
		spec corev1.PodSpec
		want []string
	}{
		"none":           {},
		"container":      {spec: corev1.PodSpec{Containers: container(host + "services/app:1")}, want: []string{"services"}},
		"init container": {spec: corev1.PodSpec{InitContainers: container(host + "services/app:1")}, want: []string{"services"}},
		"ephemeral container": {spec: corev1.PodSpec{EphemeralContainers: []corev1.EphemeralContainer{{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Image: host + "services/app:1"},
		}}}, want: []string{"services"}},
		"image volume": {spec: corev1.PodSpec{Volumes: []corev1.Volume{
			{VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: host + "services/app:1"}}},
		}}, want: []string{"services"}},
		"another volume":   {spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "data"}}}},
		"another registry": {spec: corev1.PodSpec{Containers: container("docker.io/library/nginx")}},
		"no reference":     {spec: corev1.PodSpec{Containers: container(host + "services/App:1")}},
		"empty":            {spec: corev1.PodSpec{Containers: container("")}},
		"the same twice": {
			spec: corev1.PodSpec{InitContainers: container(host + "services/tool:1"), Containers: container(host + "services/app@sha256:" + digest)},
			want: []string{"services"},
		},
		"two": {
			spec: corev1.PodSpec{InitContainers: container(host + "tools/tool:1"), Containers: container(host + "services/app:1")},
			want: []string{"tools", "services"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var want []imageref.Repository
			for _, repository := range tc.want {
				want = append(want, imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: repository})
			}
			if diff := cmp.Diff(want, Repositories(&tc.spec)); diff != "" {
				t.Errorf("Repositories (-want +got):\n%s", diff)
			}
		})
	}
}

const digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
