// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"regexp"
	"strings"

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
	f := c.readCall(ctx, targetOf(artifactRegistry, repo.ResourceName()), func(ctx context.Context, s *apis) (err error) {
		found, err = s.artifacts.GetRepository(ctx, &artifactregistrypb.GetRepositoryRequest{Name: repo.ResourceName()})
		return err
	})
	switch {
	case f != nil && f.kind == notFound:
		return diagnosis.Repository{State: diagnosis.Missing}
	case f != nil:
		return diagnosis.Repository{Obstacle: c.obstacle(ctx, f.inLocation(repo.Location), repo.Project, permissionGetRepository)}
	case !about(found.GetName(), repo):
		return diagnosis.Repository{Obstacle: unreadable("Google's answer is about another repository")}
	}
	return diagnosis.Repository{
		State:       diagnosis.Present,
		Format:      found.GetFormat().String(),
		Mode:        modeName(found.GetMode()),
		RegistryURI: registryURI(found.GetRegistryUri()),
	}
}

// about reports whether a resource name is the repository's. The name may contain the
// project's number.
func about(name string, repo imageref.Repository) bool {
	named, err := imageref.ParseResourceName(name)
	return err == nil && named.Location == repo.Location && named.Name == repo.Name &&
		(named.Project == repo.Project || strings.Trim(named.Project, "0123456789") == "")
}

// newerModes are the modes without a name in Google's client library, which requests
// numbers. gcloud uses these names.
var newerModes = map[artifactregistrypb.Repository_Mode]string{4: "AOSS_REPOSITORY", 5: "ASSURED_OSS_REPOSITORY"}

func modeName(mode artifactregistrypb.Repository_Mode) string {
	if name, ok := newerModes[mode]; ok {
		return name
	}
	return mode.String()
}

// registryURI returns Google's address of a repository. An address with hidden characters
// must not pass for a valid or a missing one.
func registryURI(uri string) string {
	if uri != "" && clean(uri) != uri {
		return "an address that cannot be read"
	}
	return uri
}

// policyVersion is the one that shows conditions; asked for an older one, Google
// hides them, and writing that back would drop them.
// https://cloud.google.com/iam/docs/allow-policies#specifying-version-get
const policyVersion = 3

// getIAMPolicy reads the repository's own IAM policy with retries.
func (c *Client) getIAMPolicy(ctx context.Context, repo imageref.Repository) (*iampb.Policy, *fault) {
	return getIAMPolicyBy(ctx, repo, func(ctx context.Context, do func(context.Context, *apis) error) *fault {
		return c.readCall(ctx, targetOf(artifactRegistry, repo.ResourceName()), do)
	})
}

// getIAMPolicyNow is getIAMPolicy that makes a call in any case, also while other reads wait
// for an outage to end.
func (c *Client) getIAMPolicyNow(ctx context.Context, repo imageref.Repository) (*iampb.Policy, *fault) {
	policy, f := getIAMPolicyBy(ctx, repo, c.call)
	if f.transient() {
		return c.getIAMPolicy(ctx, repo)
	}
	return policy, f
}

func getIAMPolicyBy(ctx context.Context, repo imageref.Repository, call func(context.Context, func(context.Context, *apis) error) *fault) (*iampb.Policy, *fault) {
	if !wellNamed(repo) {
		f := badRepository
		return nil, &f
	}
	var policy *iampb.Policy
	f := call(ctx, func(ctx context.Context, s *apis) (err error) {
		policy, err = s.artifacts.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{
			Resource: repo.ResourceName(),
			Options:  &iampb.GetPolicyOptions{RequestedPolicyVersion: policyVersion},
		})
		return err
	})
	return policy, f.inLocation(repo.Location)
}
