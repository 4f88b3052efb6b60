// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
)

// repositoryID is how Artifact Registry wants repositories named, gcr.io's included.
var repositoryID = regexp.MustCompile(`^([a-z]([a-z0-9-]{0,61}[a-z0-9])?|([a-z]+\.)?gcr\.io)$`)

// createRepository is done at once.
func (e *Emulator) createRepository(who identity, parent string, r *http.Request) (any, error) {
	var in artifactregistrypb.Repository
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	id := r.URL.Query().Get("repositoryId")
	if !repositoryID.MatchString(id) {
		return nil, invalidArgument("Invalid repository ID.")
	}
	if in.GetFormat() == artifactregistrypb.Repository_FORMAT_UNSPECIFIED {
		return nil, invalidArgument("The repository's format must be set.")
	}
	if err := e.authorize(who, permissionCreate, parent); err != nil {
		return nil, err
	}
	project, location, _ := strings.Cut(strings.TrimPrefix(parent, "projects/"), "/locations/")
	mode := cmp.Or(in.GetMode(), artifactregistrypb.Repository_STANDARD_REPOSITORY)
	made := storedRepository{Repository: Repository{
		Project: project, Location: location, Name: id, Format: in.GetFormat().String(), Mode: mode.String(),
	}}
	if !e.state.addRepository(&made) {
		return nil, alreadyExists("the repository already exists")
	}
	response := map[string]any{"@type": "type.googleapis.com/google.devtools.artifactregistry.v1.Repository"}
	described := e.describe(made, r)
	response["name"], response["format"], response["mode"] = described.Name, described.Format, described.Mode
	response["createTime"], response["registryUri"] = described.CreateTime, described.RegistryURI
	return e.state.operate(project, location, strings.ToLower(rand.Text())+"-", func(name, _ string, _ time.Time) map[string]any {
		return map[string]any{"name": name, "done": true, "response": response}
	}), nil
}

// addRepository adds one that is not there yet, and notes when.
func (s *state) addRepository(made *storedRepository) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.repositories[made.resourceName()]; exists {
		return false
	}
	made.created = s.clock.Now()
	s.repositories[made.resourceName()] = *made
	return true
}
