// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package declaration writes what a grant gives in the languages in which people
// declare such access themselves, so that it lasts without the operator. It reads
// and writes nothing.
package declaration

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// The languages.
const (
	Terraform       = "terraform"
	ConfigConnector = "config-connector"
	Crossplane      = "crossplane"
	Gcloud          = "gcloud"
)

// Formats lists the languages.
func Formats() []string { return []string{Terraform, ConfigConnector, Crossplane, Gcloud} }

// forms take name, project, location, repository, member and role, in this order.
// None quotes: what they take was checked to need none.
var forms = map[string]func(grant) string{
	Terraform: func(g grant) string {
		return fmt.Sprintf(`resource "google_artifact_registry_repository_iam_member" "%s" {
  project    = "%s"
  location   = "%s"
  repository = "%s"
  role       = "%s"
  member     = "%s"
}
`, g.label(), g.Project, g.Location, g.Name, iampolicy.Role, g.member)
	},
	ConfigConnector: func(g grant) string {
		return fmt.Sprintf(`apiVersion: iam.cnrm.cloud.google.com/v1beta1
kind: IAMPolicyMember
metadata:
  name: "%s"
spec:
  member: "%s"
  role: "%s"
  resourceRef:
    apiVersion: artifactregistry.cnrm.cloud.google.com/v1beta1
    kind: ArtifactRegistryRepository
    external: "%s"
`, g.name, g.member, iampolicy.Role, g.ResourceName())
	},
	// The group of namespaced resources is artifact.gcp.m.upbound.io, version v1beta1.
	Crossplane: func(g grant) string {
		return fmt.Sprintf(`apiVersion: artifact.gcp.upbound.io/v1beta2
kind: RegistryRepositoryIAMMember
metadata:
  name: "%s"
spec:
  forProvider:
    project: "%s"
    location: "%s"
    repository: "%s"
    role: "%s"
    member: "%s"
`, g.name, g.Project, g.Location, g.Name, iampolicy.Role, g.member)
	},
	Gcloud: func(g grant) string {
		return fmt.Sprintf("gcloud artifacts repositories add-iam-policy-binding %s --member=%s --role=%s\n", g.flags(), g.member, iampolicy.Role)
	},
}

// separators stand between two declarations of one answer.
var separators = map[string]string{Terraform: "\n", ConfigConnector: "---\n", Crossplane: "---\n"}

// Of declares what the grants give, in one of the languages.
func Of(grants []v1alpha1.PullAccessGrant, format string) (string, error) {
	form, ok := forms[format]
	if !ok {
		return "", fmt.Errorf("no declaration is written in %q; choose one of %s", format, strings.Join(Formats(), ", "))
	}
	var all []string
	for i := range grants {
		g, err := checked(&grants[i])
		if err != nil {
			return "", err
		}
		all = append(all, form(g))
	}
	return strings.Join(all, separators[format]), nil
}

// Remove is the command that takes the grant's member out by hand, "" if the
// grant's names are none.
func Remove(of *v1alpha1.PullAccessGrant) string {
	if _, err := checked(of); err != nil {
		return ""
	}
	return grantstatus.RemoveCommand(of)
}

// Read is the command that shows the policy of the grant's repository, "" if the
// grant's names are none.
func Read(of *v1alpha1.PullAccessGrant) string {
	g, err := checked(of)
	if err != nil {
		return ""
	}
	return "gcloud artifacts repositories get-iam-policy " + g.flags()
}

// grant is one whose names are such that no language has to quote anything in them.
type grant struct {
	imageref.Repository

	name, member string
}

var (
	project  = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]*$`)
	location = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	name     = regexp.MustCompile(`^[a-z][a-z0-9.-]*$`)
	member   = regexp.MustCompile(`^serviceAccount:[a-z0-9][a-z0-9-]*@[a-z0-9][a-z0-9.-]*\.gserviceaccount\.com$`)
)

// checked refuses names that are none: what is declared goes into files and shells.
func checked(g *v1alpha1.PullAccessGrant) (grant, error) {
	r := g.Spec.Repository
	for _, part := range []struct {
		field, value string
		is           bool
	}{
		{"metadata.name", g.Name, len(validation.IsDNS1123Subdomain(g.Name)) == 0},
		{"spec.repository.project", r.Project, project.MatchString(r.Project)},
		{"spec.repository.location", r.Location, location.MatchString(r.Location)},
		{"spec.repository.name", r.Name, name.MatchString(r.Name)},
		{"spec.member", g.Spec.Member, member.MatchString(g.Spec.Member)},
	} {
		if !part.is {
			return grant{}, fmt.Errorf("pullaccessgrant %q cannot be declared: its %s is %q", g.Name, part.field, part.value)
		}
	}
	return grant{imageref.Of(r), g.Name, g.Spec.Member}, nil
}

// label is the grant's name as Terraform takes it: letters, digits, _ and -, the first a letter.
func (g grant) label() string { return "pull_" + strings.ReplaceAll(g.name, ".", "_") }

func (g grant) flags() string {
	return fmt.Sprintf("%s --project=%s --location=%s", g.Name, g.Project, g.Location)
}
