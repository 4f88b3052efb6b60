// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"strings"
	"testing"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// TestMissingImagesAreSaidAsTheyAre checks that the sentence mentions other images only if
// they exist.
func TestMissingImagesAreSaidAsTheyAre(t *testing.T) {
	for name, tc := range map[string]struct {
		content  Content
		has, not string
	}{
		"others":     {content: Content{State: Missing, Nearest: []string{"1.8.1"}}, has: "under other tags or digests (nearest tags: 1.8.1)"},
		"none known": {content: Content{State: Missing}, has: "holds no such tag", not: "other"},
		"no image":   {content: Content{State: Missing, NoPackage: true}, has: "holds no image checkout", not: "other"},
	} {
		got := Diagnose(absent(notThere, func(f *Facts) { f.Content = tc.content })).Sentence
		if !strings.Contains(got, tc.has) || tc.not != "" && strings.Contains(got, tc.not) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestImageNameForgotten checks valid references that name no image.
func TestImageNameForgotten(t *testing.T) {
	for image, want := range map[string]struct{ complete, command string }{
		"us-central1-docker.pkg.dev/acme-prod/services:1.8.2": {
			"us-central1-docker.pkg.dev/acme-prod/services/IMAGE:1.8.2",
			"gcloud artifacts packages list --repository=services --location=us-central1 --project=acme-prod",
		},
		"us-west1-docker.pkg.dev/example.com/web/app": {
			"us-west1-docker.pkg.dev/example.com/web/app/IMAGE:latest",
			"gcloud artifacts packages list --repository=app --location=us-west1 --project=example.com:web",
		},
		"us-docker.pkg.dev/acme:1": {"us-docker.pkg.dev/acme/REPOSITORY/IMAGE:1", "gcloud artifacts repositories list --project=acme"},
		"gcr.io/acme:1":            {"gcr.io/acme/IMAGE:1", "gcloud artifacts packages list --repository=gcr.io --location=us --project=acme"},
		"gcr.io/example.com:1":     {"gcr.io/example.com/PROJECT/IMAGE:1", "kubectl --namespace=web describe pod checkout-7d9"},
	} {
		f := curable(func(f *Facts) {
			f.Image = image
			f.Reference, f.ReferenceErr = imageref.Parse(image)
		})
		d := Diagnose(f)
		if d.Reason != invalidReference || d.Help != HelpNo || d.Actor != Developer || !strings.Contains(d.Sentence, "is a valid reference that names no image") ||
			!strings.Contains(d.Sentence, "write "+want.complete+" in the workload") || d.Command != want.command {
			t.Errorf("%s: %s, help %q, %s\n%s", image, d.Reason, d.Help, d.Sentence, d.Command)
		}
		if Needs(f).Any() {
			t.Errorf("%s: there is nothing to read about it", image)
		}
	}
	if d := Diagnose(factsOf("not an image", "x")); !strings.Contains(d.Sentence, "is no valid image reference") {
		t.Errorf("%q", d.Sentence)
	}
}
