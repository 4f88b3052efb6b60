// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package imageref

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Repository is one Artifact Registry repository. The zero value is none.
type Repository struct {
	// Project is the project ID; a domain-scoped one has its colon: "example.com:web".
	Project string
	// Location is a region, or one of the multi-regions us, europe and asia.
	Location string
	// Name is the repository's ID: "services", or "gcr.io" behind a gcr.io host.
	Name string
}

// Of is the repository that a record names.
func Of(r v1alpha1.Repository) Repository {
	return Repository{Project: r.Project, Location: r.Location, Name: r.Name}
}

// Record is r as it is put on record.
func (r Repository) Record() v1alpha1.Repository {
	return v1alpha1.Repository{Project: r.Project, Location: r.Location, Name: r.Name}
}

// IsZero tells whether r is no repository.
func (r Repository) IsZero() bool { return r == Repository{} }

// ResourceName is the name the API knows the repository by.
func (r Repository) ResourceName() string {
	return "projects/" + r.Project + "/locations/" + r.Location + "/repositories/" + r.Name
}

// String is the short form for people: PROJECT/LOCATION/NAME.
func (r Repository) String() string { return r.Project + "/" + r.Location + "/" + r.Name }

// ParseResourceName is the inverse of ResourceName.
func ParseResourceName(name string) (Repository, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 6 || parts[0] != "projects" || parts[2] != "locations" || parts[4] != "repositories" {
		return Repository{}, fmt.Errorf("%q is no repository name", cut(name))
	}
	for _, part := range []string{parts[1], parts[3], parts[5]} {
		if part == "" {
			return Repository{}, fmt.Errorf("%q is no repository name", cut(name))
		}
	}
	return Repository{Project: parts[1], Location: parts[3], Name: parts[5]}, nil
}

// ErrPath is wrapped when an Artifact Registry host is followed by a path that
// names no project, repository and image.
var ErrPath = errors.New("the path names no project, repository and image")

// NoImageError is the error for a valid reference to an Artifact Registry host that names
// no image, such as HOST/PROJECT/REPOSITORY:TAG. The kubelet tries to pull it.
type NoImageError struct {
	// Repository is the repository in the reference. Its Project and Name are "" if the
	// reference lacks them.
	Repository Repository
	// Complete is the reference with PROJECT, REPOSITORY and IMAGE in place of the missing
	// parts.
	Complete string
}

// Error implements error.
func (e *NoImageError) Error() string {
	return "the reference is valid and names no image: " + ErrPath.Error()
}

// Unwrap returns ErrPath.
func (e *NoImageError) Unwrap() error { return ErrPath }

// gcrRepositories maps the hosts of Container Registry to the repositories that
// serve them since its end. The location of eu.gcr.io is "europe", not "eu".
// https://cloud.google.com/artifact-registry/docs/transition/gcr-repositories
var gcrRepositories = map[string]Repository{
	"gcr.io":      {Location: "us", Name: "gcr.io"},
	"us.gcr.io":   {Location: "us", Name: "us.gcr.io"},
	"eu.gcr.io":   {Location: "europe", Name: "eu.gcr.io"},
	"asia.gcr.io": {Location: "asia", Name: "asia.gcr.io"},
}

// isGoogleHost knows the four Container Registry hosts and the two forms of
// Artifact Registry's. Other hosts under gcr.io (k8s.gcr.io, mirror.gcr.io,
// REGION-artifactregistry.gcr.io) are Google's own images and never opened.
func isGoogleHost(host string) bool {
	_, gcr := gcrRepositories[host]
	return gcr || locationOf(host) != ""
}

// locationOf reads LOCATION from LOCATION-docker.pkg.dev and
// docker.LOCATION.rep.pkg.dev; it is empty for every other host.
func locationOf(host string) string {
	location, ok := strings.CutSuffix(host, "-docker.pkg.dev")
	if !ok {
		rest, regional := strings.CutSuffix(host, ".rep.pkg.dev")
		location, ok = strings.CutPrefix(rest, "docker.")
		ok = ok && regional
	}
	if !ok || location == "" || strings.Trim(location, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return ""
	}
	return location
}

// locate returns the repository and the name of the image in it. If the path is too short,
// missing lists the parts that it lacks. The first segment of a domain-scoped project's
// path holds a dot, and its colon has become a slash: example.com/web/services/app.
func locate(host string, path []string) (repository Repository, image string, missing []string) {
	repository, gcr := gcrRepositories[host]
	if !gcr {
		repository.Location = locationOf(host)
	}
	project, path := path[0], path[1:]
	switch {
	case !strings.Contains(project, "."):
		repository.Project = project
	case len(path) > 0:
		repository.Project = project + ":" + path[0]
		path = path[1:]
	default:
		missing = append(missing, "PROJECT")
	}
	switch {
	case gcr:
	case len(path) > 0:
		repository.Name = path[0]
		path = path[1:]
	default:
		missing = append(missing, "REPOSITORY")
	}
	if len(path) == 0 {
		missing = append(missing, "IMAGE")
	}
	return repository, strings.Join(path, "/"), missing
}
