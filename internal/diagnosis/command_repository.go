// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
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

func listRepositories(f Facts) string {
	r := f.Reference.Repository
	if r.IsZero() {
		return ""
	}
	return fmt.Sprintf("gcloud artifacts repositories list --project=%s --location=%s", r.Project, r.Location)
}

// findRepository looks for the right name; of a gcr.io host there is only one.
func findRepository(f Facts) string {
	if strings.HasSuffix(f.Reference.Registry, "gcr.io") && !f.Reference.Repository.IsZero() {
		return "gcloud artifacts repositories create " + repositoryFlags(f) + " --repository-format=docker"
	}
	return listRepositories(f)
}

// listTags shows what is there of the image, or in its repository if the image is not there at all.
func listTags(f Facts) string {
	r := f.Reference.Repository
	if r.IsZero() {
		return ""
	}
	address := r.Location + "-docker.pkg.dev/" + strings.Replace(r.Project, ":", "/", 1) + "/" + r.Name
	if f.Content.NoPackage {
		return "gcloud artifacts docker images list " + address
	}
	return "gcloud artifacts docker tags list " + address + "/" + f.Reference.Package
}

func troubleshoot(f Facts) string {
	return fmt.Sprintf("gcloud policy-intelligence troubleshoot-policy iam //artifactregistry.googleapis.com/%s --principal-email=%s --permission=%s",
		f.Reference.Repository.ResourceName(), f.Puller.Email, pullfailure.DownloadPermission)
}
