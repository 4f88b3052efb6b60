// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

func TestRepository(t *testing.T) {
	g := newGoogle(t)
	g.AddRepository(gcpemulator.Repository{Project: "acme", Location: "us", Name: "java", Format: "MAVEN"})
	g.AddRepository(gcpemulator.Repository{Project: "acme", Location: "us", Name: "all", Mode: "VIRTUAL_REPOSITORY"})
	g.AddRepository(gcpemulator.Repository{Project: "acme", Location: "us", Name: "new", Mode: "CONNECTOR_REPOSITORY"})
	g.AddRepository(gcpemulator.Repository{Project: "example.com:web", Location: "europe", Name: "eu.gcr.io"})
	for name, tc := range map[string]struct {
		repo imageref.Repository
		want diagnosis.Repository
	}{
		"standard": {
			repo: services,
			want: diagnosis.Repository{
				State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY",
				RegistryURI: "us-central1-docker.pkg.dev/acme/services",
			},
		},
		"not Docker": {
			repo: imageref.Repository{Project: "acme", Location: "us", Name: "java"},
			want: diagnosis.Repository{
				State: diagnosis.Present, Format: "MAVEN", Mode: "STANDARD_REPOSITORY", RegistryURI: "us-maven.pkg.dev/acme/java",
			},
		},
		"virtual": {
			repo: imageref.Repository{Project: "acme", Location: "us", Name: "all"},
			want: diagnosis.Repository{
				State: diagnosis.Present, Format: "DOCKER", Mode: "VIRTUAL_REPOSITORY", RegistryURI: "us-docker.pkg.dev/acme/all",
			},
		},
		"a mode of the future": {
			repo: imageref.Repository{Project: "acme", Location: "us", Name: "new"},
			want: diagnosis.Repository{
				State: diagnosis.Present, Format: "DOCKER", Mode: "99", RegistryURI: "us-docker.pkg.dev/acme/new",
			},
		},
		"domain-scoped project": {
			repo: imageref.Repository{Project: "example.com:web", Location: "europe", Name: "eu.gcr.io"},
			want: diagnosis.Repository{
				State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY",
				RegistryURI: "europe-docker.pkg.dev/example.com/web/eu.gcr.io",
			},
		},
		"missing": {
			repo: imageref.Repository{Project: "acme", Location: "us", Name: "services"},
			want: diagnosis.Repository{State: diagnosis.Missing},
		},
		"no repository": {
			repo: imageref.Repository{},
			want: diagnosis.Repository{Obstacle: unreadable("this is no name of an Artifact Registry repository")},
		},
		"a path for a name": {
			repo: imageref.Repository{Project: "acme", Location: "us", Name: "x:setIamPolicy?"},
			want: diagnosis.Repository{Obstacle: unreadable("this is no name of an Artifact Registry repository")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, g.client.Repository(t.Context(), tc.repo)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
