// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

func repositoryFlags(f Facts) string {
	r := f.Reference.Repository
	return fmt.Sprintf("%s --project=%s --location=%s", r.Name, r.Project, r.Location)
}

func bind(f Facts, member string) string {
	if member == "" {
		return ""
	}
	return fmt.Sprintf("gcloud artifacts repositories add-iam-policy-binding %s --member=%s --role=roles/artifactregistry.reader", repositoryFlags(f), member)
}

func readPolicy(f Facts) string {
	return "gcloud artifacts repositories get-iam-policy " + repositoryFlags(f)
}

func describeRepository(f Facts) string {
	return "gcloud artifacts repositories describe " + repositoryFlags(f)
}

// listRepositories shows those of all locations: a wrong one is the usual mistake.
func listRepositories(f Facts) string {
	r := f.Reference.Repository
	if r.IsZero() {
		return ""
	}
	return "gcloud artifacts repositories list --project=" + r.Project
}

// listNamed returns a command that lists candidates for the missing part of an image
// reference.
func listNamed(f Facts) string {
	var nameless *imageref.NoImageError
	if !errors.As(f.ReferenceErr, &nameless) || nameless.Repository.Project == "" {
		return ""
	}
	r := nameless.Repository
	if r.Name == "" {
		return "gcloud artifacts repositories list --project=" + r.Project
	}
	return fmt.Sprintf("gcloud artifacts packages list --repository=%s --location=%s --project=%s", r.Name, r.Location, r.Project)
}

// findRepository looks for the right name; of a gcr.io host there is only one.
func findRepository(f Facts) string {
	if strings.HasSuffix(f.Reference.Registry, "gcr.io") && !f.Reference.Repository.IsZero() {
		return "gcloud artifacts repositories create " + repositoryFlags(f) + " --repository-format=docker"
	}
	return listRepositories(f)
}

// listTags shows what is there of the image, or in its repository if the image is
// not there at all. The forms below "artifacts docker" take the address of a
// domain-scoped project apart wrongly.
func listTags(f Facts) string {
	r := f.Reference.Repository
	if r.IsZero() {
		return ""
	}
	in := fmt.Sprintf(" --repository=%s --location=%s --project=%s", r.Name, r.Location, r.Project)
	if f.Content.NoPackage {
		return "gcloud artifacts packages list" + in
	}
	return "gcloud artifacts tags list --package=" + f.Reference.Package + in
}

func troubleshoot(f Facts) string {
	return fmt.Sprintf("gcloud policy-intelligence troubleshoot-policy iam //artifactregistry.googleapis.com/%s --principal-email=%s --permission=%s",
		f.Reference.Repository.ResourceName(), f.Puller.Email, iampolicy.DownloadPermission)
}
