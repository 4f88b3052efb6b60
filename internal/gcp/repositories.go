// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/genproto/googleapis/cloud/location"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// What listing repositories takes.
const (
	permissionListLocations    = "artifactregistry.locations.list"
	permissionListRepositories = "artifactregistry.repositories.list"
)

// IsRepository tells whether Google can be asked for a repository of that name.
func IsRepository(repo imageref.Repository) bool { return wellNamed(repo) }

// Repositories lists the repositories of a project that hold images: those of one
// location, or of all where location is "*". What could be listed is returned also
// beside an obstacle, which says why it is not all.
//
// No page of Google's says that the API takes a wildcard for the location, and
// gcloud asks location by location; so does this.
func (c *Client) Repositories(ctx context.Context, project, location string) ([]imageref.Repository, diagnosis.Obstacle) {
	if !projectName.MatchString(project) {
		return nil, badProject.obstacle("")
	}
	locations := []string{location}
	if location == "*" {
		var f *fault
		if locations, f = c.locations(ctx, project); f != nil {
			return nil, c.obstacle(ctx, f, project, permissionListLocations)
		}
	}
	var mu sync.Mutex
	var all []imageref.Repository
	var obstacle diagnosis.Obstacle
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, at := range locations {
		group.Go(func() error {
			found, f := c.repositoriesAt(ctx, project, at)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, found...)
			if f != nil && obstacle == (diagnosis.Obstacle{}) {
				obstacle = c.obstacle(ctx, f, project, permissionListRepositories)
			}
			return nil
		})
	}
	_ = group.Wait() // None of them fails: what is not listed is an obstacle.
	slices.SortFunc(all, func(a, b imageref.Repository) int { return cmp.Compare(a.String(), b.String()) })
	return all, obstacle
}

// locations lists where the project may have repositories.
func (c *Client) locations(ctx context.Context, project string) (names []string, f *fault) {
	f = c.readCall(ctx, target{artifactRegistry, project}, func(ctx context.Context, s *apis) (err error) {
		names, err = listed(ctx, func() (names []string, err error) {
			list := s.artifacts.ListLocations(ctx, &location.ListLocationsRequest{Name: "projects/" + project, PageSize: pageSize})
			err = each(list, func(found *location.Location) { names = append(names, found.GetLocationId()) })
			return names, err
		})
		return err
	})
	return names, f
}

// repositoriesAt lists those of one location. What Google does not call by a name
// that can be asked for is left out, and so is what holds no images.
func (c *Client) repositoriesAt(ctx context.Context, project, at string) (all []imageref.Repository, f *fault) {
	if !locationName.MatchString(at) {
		return nil, &fault{kind: invalid, detail: "this is no name of a location"}
	}
	parent := "projects/" + project + "/locations/" + at
	f = c.readCall(ctx, targetOf(artifactRegistry, parent), func(ctx context.Context, s *apis) (err error) {
		all, err = listed(ctx, func() (all []imageref.Repository, err error) {
			list := s.artifacts.ListRepositories(ctx, &artifactregistrypb.ListRepositoriesRequest{Parent: parent, PageSize: pageSize})
			err = each(list, func(found *artifactregistrypb.Repository) {
				repo := imageref.Repository{Project: project, Location: at, Name: lastPart(found.GetName())}
				if found.GetFormat() == artifactregistrypb.Repository_DOCKER && wellNamed(repo) {
					all = append(all, repo)
				}
			})
			return all, err
		})
		return err
	})
	return all, f.inLocation(at)
}
