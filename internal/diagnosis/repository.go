// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// Modes and format of a repository, in Google's words.
const (
	dockerFormat = "DOCKER"
	standardMode = "STANDARD_REPOSITORY"
	remoteMode   = "REMOTE_REPOSITORY"
	virtualMode  = "VIRTUAL_REPOSITORY"
)

// Openable tells whether a grant may be made on the repository at all: it was
// read, holds images, and is of a mode that this operator knows. Whether a
// virtual one may be opened is for a policy to say.
func Openable(r Repository) bool {
	return r.State == Present && r.Format == dockerFormat && knownMode(r.Mode)
}

// HoldsImages tells whether the repository keeps images itself, so that one it
// does not have cannot be pulled from it.
func HoldsImages(r Repository) bool { return Openable(r) && r.Mode == standardMode }

func knownMode(mode string) bool {
	return mode == standardMode || mode == remoteMode || mode == virtualMode
}

// registryDiffers reports whether the repository's own address differs from the address in
// the image. An invalid address differs. A missing address does not: older repositories
// have none.
//
// Both forms of the host, LOCATION-docker.pkg.dev and docker.LOCATION.rep.pkg.dev,
// and the gcr.io hosts are one repository, so the address is compared by what it names.
func registryDiffers(f Facts) bool {
	if f.Repository.RegistryURI == "" {
		return false
	}
	const inIt = "image"
	named, err := imageref.Parse(f.Repository.RegistryURI + "/" + inIt)
	return err != nil || named.Repository != f.Reference.Repository || named.Package != inIt
}

// ExplainRepository explains in one sentence why a repository cannot be read, and the next
// step if known. The sentence is the same for every such error.
func ExplainRepository(repository imageref.Repository, fact Repository) string {
	switch {
	case fact.State == Missing:
		return fmt.Sprintf("Repository %s does not exist; correct its name or create it.", repository)
	case fact.State == Present:
		return fmt.Sprintf("Repository %s is of format %q and mode %q, which this operator does not open.", repository, fact.Format, fact.Mode)
	}
	return fmt.Sprintf("Repository %s cannot be read: %s.", repository, ending(fact.Obstacle, repository.Project))
}

// ExplainIAMPolicy explains the same for a repository's IAM policy.
func ExplainIAMPolicy(repository imageref.Repository, obstacle Obstacle) string {
	return fmt.Sprintf("The IAM policy of repository %s cannot be read or changed: %s.", repository, ending(obstacle, repository.Project))
}

// ending describes an obstacle to a read in project, and the next step.
func ending(o Obstacle, project string) string {
	o.Identifier = "" // Each denial has a new one.
	if command := o.command(project); command != "" {
		return detail(o) + "; next step: " + command
	}
	return detail(o)
}
