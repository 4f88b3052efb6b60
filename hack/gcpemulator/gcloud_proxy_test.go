// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"slices"
	"strings"
	"testing"
)

// TestGcloudByGooglesNames runs gcloud without endpoint overrides. It reaches Google's own hosts over TLS, through the
// proxy.
func TestGcloudByGooglesNames(t *testing.T) {
	e, g := newSite(t)
	proxy, _ := throughProxy(t, e)
	through, err := proxy.Environment(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	g.env = slices.DeleteFunc(g.env, func(variable string) bool { return strings.HasPrefix(variable, "CLOUDSDK_API_ENDPOINT_OVERRIDES_") })
	g.env = append(g.env, through...)
	var repository struct{ Name, Mode string }
	g.read(t, &repository, "artifacts", "repositories", "describe", "services", "--location=us-central1")
	if repository.Name != services || repository.Mode != "STANDARD_REPOSITORY" {
		t.Errorf("repository: %+v", repository)
	}
	var machine struct{ Name string }
	g.read(t, &machine, "compute", "instances", "describe", "vm", "--zone=us-central1-a")
	if machine.Name != "vm" {
		t.Errorf("instance: %+v", machine)
	}
	if _, problems, err := g.run(t, "artifacts", "repositories", "describe", "services", "--location=us-nowhere1"); err == nil || !strings.Contains(problems, "INVALID_ARGUMENT") {
		t.Errorf("an unknown location: got %v, %s", err, problems)
	}
	hosts := map[string]bool{}
	for _, r := range proxy.Requests() {
		hosts[r.Host] = true
		if !r.Bearer {
			t.Errorf("%s%s carried no token", r.Host, r.Path)
		}
	}
	if !hosts["artifactregistry.googleapis.com"] || !hosts["compute.googleapis.com"] {
		t.Errorf("gcloud asked %v", hosts)
	}
}
