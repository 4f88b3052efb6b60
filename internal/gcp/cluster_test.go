// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

func TestParseCluster(t *testing.T) {
	for name, want := range map[string]diagnosis.Cluster{
		"projects/acme/locations/us-central1/clusters/prod":           prod,
		"projects/example.com:web/locations/us-central1-a/clusters/a": {Project: "example.com:web", Location: "us-central1-a", Name: "a"},
	} {
		got, err := ParseCluster(name)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
	for _, name := range []string{
		"", "prod", "acme/us-central1/prod", "projects/acme/zones/us-central1-a/clusters/prod",
		"projects/417/locations/us-central1/clusters/prod", "projects/acme/locations/us-central1/clusters/prod/nodePools/main",
		"projects/acme/locations/../clusters/prod", "projects/acme/locations/us-central1/clusters/prod\n",
		"projects/acme/locations/us-central1/clusters/", "projects//locations/us-central1/clusters/prod",
	} {
		got, err := ParseCluster(name)
		if err == nil || !strings.Contains(err.Error(), "projects/PROJECT_ID/locations/LOCATION/clusters/NAME") || got != (diagnosis.Cluster{}) {
			t.Errorf("%q: got %+v and %v, want an error with the form", name, got, err)
		}
	}
}

func TestFindCluster(t *testing.T) {
	on := map[string]string{"cluster-name": "prod", "cluster-location": "us-central1"}
	for name, tc := range map[string]struct {
		attributes map[string]string
		want       diagnosis.Cluster
	}{
		"on GKE":           {attributes: on, want: prod},
		"no cluster":       {},
		"half a cluster":   {attributes: map[string]string{"cluster-name": "prod"}},
		"a strange answer": {attributes: map[string]string{"cluster-name": "<html>", "cluster-location": "us-central1"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			address, err := g.StartMetadata(gcpemulator.Instance{
				Project: "acme", Zone: "us-central1-a", Name: "n1", ServiceAccount: nodes, Attributes: tc.attributes,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(address, "http://"))
			got, found := FindCluster(t.Context())
			if diff := cmp.Diff(tc.want, got); diff != "" || found != (tc.want != diagnosis.Cluster{}) {
				t.Errorf("found: %t (-want +got)\n%s", found, diff)
			}
		})
	}
}

func TestFindClusterIsGivenUp(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	if got, found := FindCluster(gone); found || got != (diagnosis.Cluster{}) {
		t.Errorf("got %+v", got)
	}
}
