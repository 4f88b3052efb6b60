// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package declaration

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/golden"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

func grantOf(project, location, name string) v1alpha1.PullAccessGrant {
	const account = "serviceAccount:gke-nodes@acme-prod-417.iam.gserviceaccount.com"
	r := imageref.Repository{Project: project, Location: location, Name: name}
	g := v1alpha1.PullAccessGrant{Spec: v1alpha1.PullAccessGrantSpec{Repository: r.Record(), Member: account}}
	g.Name = decision.GrantName(r, account)
	return g
}

// TestGolden declares a usual repository, and one behind gcr.io of a domain-scoped project.
func TestGolden(t *testing.T) {
	grants := []v1alpha1.PullAccessGrant{grantOf("acme-prod-417", "us-central1", "services"), grantOf("example.com:web", "us", "gcr.io")}
	for _, format := range Formats() {
		t.Run(format, func(t *testing.T) {
			got, err := Of(grants, format)
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "testdata/"+format+".golden", got)
		})
	}
}

// TestYAML: what is declared as YAML reads as the grant's own names.
func TestYAML(t *testing.T) {
	g := grantOf("example.com:web", "us", "gcr.io")
	for _, format := range []string{ConfigConnector, Crossplane} {
		text, err := Of([]v1alpha1.PullAccessGrant{g}, format)
		if err != nil {
			t.Fatal(err)
		}
		var read struct {
			Metadata struct{ Name string }
			Spec     struct {
				Member      string
				ResourceRef struct{ External string }
				ForProvider struct{ Project, Location, Repository, Member string }
			}
		}
		if err := yaml.UnmarshalStrict([]byte(text), &map[string]any{}); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte(text), &read); err != nil {
			t.Fatal(err)
		}
		p := read.Spec.ForProvider
		asked := read.Spec.Member + " " + read.Spec.ResourceRef.External
		if format == Crossplane {
			asked = p.Member + " projects/" + p.Project + "/locations/" + p.Location + "/repositories/" + p.Repository
		}
		if want := g.Spec.Member + " projects/example.com:web/locations/us/repositories/gcr.io"; asked != want || read.Metadata.Name != g.Name {
			t.Errorf("%s of %s: %s, want %s", format, read.Metadata.Name, asked, want)
		}
	}
}

// TestRefuses: whatever would break out of quotes, or be more than one word, is not declared.
func TestRefuses(t *testing.T) {
	good := func() v1alpha1.PullAccessGrant { return grantOf("acme-prod-417", "us-central1", "services") }
	tests := map[string]struct {
		spoil func(*v1alpha1.PullAccessGrant)
		field string
	}{
		"zero":       {func(g *v1alpha1.PullAccessGrant) { *g = v1alpha1.PullAccessGrant{} }, "metadata.name"},
		"name":       {func(g *v1alpha1.PullAccessGrant) { g.Name = `x" {` }, "metadata.name"},
		"project":    {func(g *v1alpha1.PullAccessGrant) { g.Spec.Repository.Project = `acme"` }, "project"},
		"location":   {func(g *v1alpha1.PullAccessGrant) { g.Spec.Repository.Location = "us; rm -rf /" }, "location"},
		"repository": {func(g *v1alpha1.PullAccessGrant) { g.Spec.Repository.Name = "a$(id)" }, "repository.name"},
		"line break": {func(g *v1alpha1.PullAccessGrant) { g.Spec.Repository.Name = "services\nx" }, "repository.name"},
		"flag":       {func(g *v1alpha1.PullAccessGrant) { g.Spec.Repository.Name = "--quiet" }, "repository.name"},
		"everybody":  {func(g *v1alpha1.PullAccessGrant) { g.Spec.Member = "allUsers" }, "member"},
		"member":     {func(g *v1alpha1.PullAccessGrant) { g.Spec.Member += `"` }, "member"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := good()
			tc.spoil(&g)
			for _, format := range Formats() {
				got, err := Of([]v1alpha1.PullAccessGrant{good(), g}, format)
				if err == nil || got != "" || !strings.Contains(err.Error(), tc.field) {
					t.Errorf("%s: got %q, %v, want an error about %s", format, got, err, tc.field)
				}
			}
			if got := Remove(&g) + Read(&g); got != "" {
				t.Errorf("it offers %q", got)
			}
		})
	}
	if _, err := Of(nil, "pulumi"); err == nil || !strings.Contains(err.Error(), "terraform, config-connector") {
		t.Errorf("an unknown language: %v", err)
	}
}

func TestCommands(t *testing.T) {
	g := grantOf("acme-prod-417", "us-central1", "services")
	const flags = "services --project=acme-prod-417 --location=us-central1"
	if got, want := Remove(&g), "gcloud artifacts repositories remove-iam-policy-binding "+flags+
		" --role=roles/artifactregistry.reader --member=serviceAccount:gke-nodes@acme-prod-417.iam.gserviceaccount.com"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := Read(&g), "gcloud artifacts repositories get-iam-policy "+flags; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
