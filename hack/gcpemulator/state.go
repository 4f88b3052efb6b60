// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Repository is one repository of Artifact Registry.
type Repository struct {
	Project, Location, Name string
	Format                  string // "DOCKER" if empty.
	Mode                    string // "STANDARD_REPOSITORY" if empty; any text is served as it stands.
}

func (r Repository) resourceName() string {
	return repositoryName(r.Project, r.Location, r.Name)
}

// state is all that the emulated cloud knows, except the images' bytes.
type state struct {
	mu     sync.Mutex
	clock  clock.PassiveClock
	delay  time.Duration // From a policy's write until the registry judges by it.
	writes uint64        // Policy writes so far, the source of etags.

	projects       map[string]int64
	repositories   map[string]storedRepository // By resource name.
	artifacts      map[string][]artifact       // By the repository's resource name.
	instances      map[string]Instance         // By resource name.
	accounts       map[string]bool             // By email, in lower case.
	roles          map[string][]string         // Custom roles.
	policies       map[string][]policyVersion  // By resource name, oldest first.
	callers        map[string][]string         // Restricted callers: email to permissions.
	tokens         map[string]credential
	registryTokens map[string]credential

	parents    map[string]string         // A project's or folder's resource name to the one above.
	groups     map[string][]string       // A group's email, in lower case, to its members.
	denials    map[string][]DenyPolicy   // By the resource name that they are attached to.
	blocks     map[string]Blockage       // By project ID.
	clusters   map[string]Cluster        // By resource name.
	operations map[string]map[string]any // By resource name.
}

type storedRepository struct {
	Repository
	created time.Time
}

func newState() *state {
	return &state{
		clock:          clock.RealClock{},
		projects:       map[string]int64{},
		repositories:   map[string]storedRepository{},
		artifacts:      map[string][]artifact{},
		instances:      map[string]Instance{},
		accounts:       map[string]bool{},
		roles:          map[string][]string{},
		policies:       map[string][]policyVersion{},
		callers:        map[string][]string{},
		tokens:         map[string]credential{},
		registryTokens: map[string]credential{},
		parents:        map[string]string{},
		groups:         map[string][]string{},
		denials:        map[string][]DenyPolicy{},
		blocks:         map[string]Blockage{},
		clusters:       map[string]Cluster{},
		operations:     map[string]map[string]any{},
	}
}

func repositoryName(project, location, name string) string {
	return "projects/" + project + "/locations/" + location + "/repositories/" + name
}

// AddProject makes a project, and with it the default service account that
// Compute Engine gives every project. Repositories and instances do not need it.
func (e *Emulator) AddProject(id string, number int64) {
	e.state.mu.Lock()
	e.state.projects[id] = number
	e.state.mu.Unlock()
	e.AddServiceAccount(strconv.FormatInt(number, 10) + "-compute@developer.gserviceaccount.com")
}

// AddRepository makes a repository, without images and with an empty policy.
func (e *Emulator) AddRepository(r Repository) {
	r.Format = cmp.Or(r.Format, "DOCKER")
	r.Mode = cmp.Or(r.Mode, "STANDARD_REPOSITORY")
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.repositories[r.resourceName()] = storedRepository{Repository: r, created: e.state.clock.Now()}
}

// AddServiceAccount makes a service account. A policy can only be written
// through the API when every service account that it names exists.
func (e *Emulator) AddServiceAccount(email string) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.accounts[strings.ToLower(email)] = true
}

// DeleteServiceAccount deletes an account and its tokens. Policies that name it
// stay as they are, as they do for a while at Google: writing them back fails.
func (e *Emulator) DeleteServiceAccount(email string) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	delete(e.state.accounts, strings.ToLower(email))
	for _, tokens := range []map[string]credential{e.state.tokens, e.state.registryTokens} {
		for token, holder := range tokens {
			if strings.EqualFold(holder.email, email) {
				delete(tokens, token)
			}
		}
	}
}

// projectID resolves a project's number to its ID, as Google's APIs do.
func (s *state) projectID(project string) string {
	number, err := strconv.ParseInt(project, 10, 64)
	if err != nil {
		return project
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, known := range s.projects {
		if known == number {
			return id
		}
	}
	return project
}

func (s *state) repository(name string) (storedRepository, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.repositories[name]
	return r, ok
}

// repositoriesOf lists a project's repositories by name; location "-" is all.
func (s *state) repositoriesOf(project, location string) []storedRepository {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []storedRepository
	for _, r := range s.repositories {
		if r.Project == project && (location == "-" || r.Location == location) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b storedRepository) int { return cmp.Compare(a.resourceName(), b.resourceName()) })
	return found
}

// registriesOf returns the registries that have the repository of a path,
// PROJECT/REPOSITORY/IMAGE.
func (s *state) registriesOf(path string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for _, r := range s.repositories {
		if host, repository, _ := strings.Cut(r.registryURI(), "/"); strings.HasPrefix(path+"/", repository+"/") {
			found = append(found, host)
		}
	}
	return found
}
