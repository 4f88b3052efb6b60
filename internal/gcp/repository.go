// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"regexp"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"cloud.google.com/go/iam/apiv1/iampb"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// What each call takes.
const (
	permissionGetRepository = "artifactregistry.repositories.get"
	permissionGetPolicy     = "artifactregistry.repositories.getIamPolicy"
)

// Names become parts of a path, so each is held to its own alphabet; none of
// them can be "." or "..".
// https://cloud.google.com/resource-manager/docs/creating-managing-projects
var (
	projectName    = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]{0,251}:)?[a-z0-9][a-z0-9-]{0,62}$`)
	locationName   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	repositoryName = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,62}$`)
)

// badRepository is the fault of a name that cannot be asked for.
var badRepository = fault{kind: invalid, detail: "this is no name of an Artifact Registry repository"}

func wellNamed(repo imageref.Repository) bool {
	return projectName.MatchString(repo.Project) && locationName.MatchString(repo.Location) &&
		repositoryName.MatchString(repo.Name)
}

// Repository says what Artifact Registry knows of the repository. What can't be
// read is Unknown, with the obstacle.
func (c *Client) Repository(ctx context.Context, repo imageref.Repository) diagnosis.Repository {
	if !wellNamed(repo) {
		return diagnosis.Repository{Obstacle: badRepository.obstacle("")}
	}
	var found *artifactregistrypb.Repository
	f := c.call(ctx, func(ctx context.Context, s *apis) (err error) {
		found, err = s.artifacts.GetRepository(ctx, &artifactregistrypb.GetRepositoryRequest{Name: repo.ResourceName()})
		return err
	})
	switch {
	case f != nil && f.kind == notFound:
		return diagnosis.Repository{State: diagnosis.Missing}
	case f != nil:
		return diagnosis.Repository{Obstacle: c.obstacle(ctx, f, repo.Project, permissionGetRepository)}
	}
	return diagnosis.Repository{
		State:       diagnosis.Present,
		Format:      found.GetFormat().String(),
		Mode:        found.GetMode().String(),
		RegistryURI: clean(found.GetRegistryUri()),
	}
}

// policyVersion is the one that shows conditions; asked for an older one, Google
// hides them, and writing that back would drop them.
// https://cloud.google.com/iam/docs/allow-policies#specifying-version-get
const policyVersion = 3

// readPolicy reads the repository's own policy.
func (c *Client) readPolicy(ctx context.Context, repo imageref.Repository) (*iampb.Policy, *fault) {
	if !wellNamed(repo) {
		f := badRepository
		return nil, &f
	}
	var policy *iampb.Policy
	f := c.call(ctx, func(ctx context.Context, s *apis) (err error) {
		policy, err = s.artifacts.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{
			Resource: repo.ResourceName(),
			Options:  &iampb.GetPolicyOptions{RequestedPolicyVersion: policyVersion},
		})
		return err
	})
	return policy, f
}
