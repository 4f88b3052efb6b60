// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// What looking for an image takes.
const (
	permissionGetTag     = "artifactregistry.tags.get"
	permissionGetVersion = "artifactregistry.versions.get"
)

// pageSize is the most that one list call gives.
const pageSize = 1000

// versionsPerPage is smaller, since a version comes with all its tags. A tag of none of
// the newest versions is hardly what was meant.
const versionsPerPage = 250

// maxListsAtOnce bounds the memory for answers with lists: strangers choose the repositories and packages that are listed.
const maxListsAtOnce = 2

// maxListWait is how long a list waits for its turn: a worker that waits longer holds up other pods for names alone.
const maxListWait = 500 * time.Millisecond

// maxNames bounds a list that is remembered: a version may have any number of tags.
const maxNames = pageSize

// newestFirst is the order in which lists are asked for.
const newestFirst = "update_time desc"

// Content says whether the repository holds the image, and if not, what it holds
// that is most like it. It is to be asked only for a repository that is there, and
// of a kind that serves what it holds.
func (c *Client) Content(ctx context.Context, image imageref.Image) diagnosis.Content {
	if !wellNamed(image.Repository) || image.Package == "" || image.Tag == "" && image.Digest == "" {
		return diagnosis.Content{Obstacle: badRepository.obstacle("")}
	}
	// A name's slashes are escaped to be one part of a path.
	packageName := image.Repository.ResourceName() + "/packages/" + url.PathEscape(image.Package)
	f, permission := c.look(ctx, packageName, image)
	switch {
	case f == nil:
		return diagnosis.Content{State: diagnosis.Present}
	case f.kind != notFound:
		return diagnosis.Content{Obstacle: c.obstacle(ctx, f, image.Repository.Project, permission)}
	}
	content := diagnosis.Content{State: diagnosis.Missing}
	tags, f := c.tags(ctx, packageName)
	if f == nil {
		content.Nearest = nearest(image.Tag, tags)
	} else if f.kind == notFound {
		content.NoPackage = true
		// Without the names there is less to offer; the image is missing all the same.
		names, _ := c.packages(ctx, image.Repository.ResourceName())
		content.Nearest = nearest(image.Package, names)
	}
	return content
}

// look asks for the very image. A digest is looked for among the versions of
// the package and not among its Docker images: each manifest that can be pulled
// is a version, be it an index, an image of one platform or neither.
func (c *Client) look(ctx context.Context, packageName string, image imageref.Image) (f *fault, permission string) {
	if image.Digest != "" {
		return c.readCall(ctx, targetOf(artifactRegistry, packageName), func(ctx context.Context, s *apis) error {
			_, err := s.artifacts.GetVersion(ctx, &artifactregistrypb.GetVersionRequest{Name: packageName + "/versions/" + image.Digest})
			return err
		}), permissionGetVersion
	}
	return c.readCall(ctx, targetOf(artifactRegistry, packageName), func(ctx context.Context, s *apis) error {
		_, err := s.artifacts.GetTag(ctx, &artifactregistrypb.GetTagRequest{Name: packageName + "/tags/" + image.Tag})
		return err
	}), permissionGetTag
}

// tags lists the tags of a package's newest versions, once for all of its images.
// The fields by which Google can order are not documented: refused, it is asked
// for any page.
func (c *Client) tags(ctx context.Context, packageName string) ([]diagnosis.Candidate, *fault) {
	return remember(ctx, c.shared.tags, packageName, func(ctx context.Context) ([]diagnosis.Candidate, *fault) {
		tags, f := c.tagsBy(ctx, packageName, newestFirst)
		if f != nil && f.kind == invalid {
			return c.tagsBy(ctx, packageName, "")
		}
		return tags, f
	})
}

func (c *Client) tagsBy(ctx context.Context, packageName, order string) ([]diagnosis.Candidate, *fault) {
	return c.readList(ctx, packageName, func(ctx context.Context, s *apis) (tags []diagnosis.Candidate, err error) {
		versions := s.artifacts.ListVersions(ctx, &artifactregistrypb.ListVersionsRequest{
			Parent: packageName, PageSize: versionsPerPage, OrderBy: order,
			View: artifactregistrypb.VersionView_FULL, // The basic one leaves the tags out.
		})
		err = eachOfFirstPage(versions, func(v *artifactregistrypb.Version) {
			for _, tag := range v.GetRelatedTags()[:min(len(v.GetRelatedTags()), maxNames-len(tags))] {
				tags = append(tags, diagnosis.Candidate{Name: clean(lastPart(tag.GetName())), Updated: v.GetUpdateTime().AsTime()})
			}
		})
		return tags, err
	})
}

// packages lists the images of a repository, once for all that are not among them.
func (c *Client) packages(ctx context.Context, repository string) ([]diagnosis.Candidate, *fault) {
	return remember(ctx, c.shared.packages, repository, func(ctx context.Context) ([]diagnosis.Candidate, *fault) {
		return c.readList(ctx, repository, func(ctx context.Context, s *apis) (names []diagnosis.Candidate, err error) {
			packages := s.artifacts.ListPackages(ctx, &artifactregistrypb.ListPackagesRequest{Parent: repository, PageSize: pageSize})
			err = eachOfFirstPage(packages, func(p *artifactregistrypb.Package) {
				names = append(names, diagnosis.Candidate{Name: clean(lastPart(p.GetName())), Updated: p.GetUpdateTime().AsTime()})
			})
			return names, err
		})
	})
}

// readList lists the content of a repository or package, as one of maxListsAtOnce. The caller waits for its turn for at
// most maxListWait, before the call and its retries: waiting says nothing about Google, so it begins no outage, and the
// list only adds names that are alike.
// The turn ends when no request is under way any more, which may be after readList has returned.
func (c *Client) readList(ctx context.Context, parent string, list func(context.Context, *apis) ([]diagnosis.Candidate, error)) (names []diagnosis.Candidate, f *fault) {
	waiting, cancel := context.WithTimeout(ctx, maxListWait)
	defer cancel()
	if c.lists.Acquire(waiting, 1) != nil {
		return nil, &fault{kind: unavailable, detail: "too many lists are read at the same time"}
	}
	var requests sync.WaitGroup
	f = c.readCall(ctx, targetOf(artifactRegistry, parent), func(ctx context.Context, s *apis) (err error) {
		requests.Add(1)
		names, err = listed(ctx, func() ([]diagnosis.Candidate, error) {
			defer requests.Done()
			return list(ctx, s)
		})
		return err
	})
	go func() {
		requests.Wait()
		c.lists.Release(1)
	}()
	return names, f
}

// lastPart is the part of a resource's name behind the last slash, unescaped.
func lastPart(name string) string {
	part := name[strings.LastIndexByte(name, '/')+1:]
	if unescaped, err := url.PathUnescape(part); err == nil {
		return unescaped
	}
	return part
}

// nearest offers the names most like wanted. Nothing is like a digest, so
// without a name the newest are offered.
func nearest(wanted string, candidates []diagnosis.Candidate) []string {
	if wanted != "" {
		return diagnosis.Nearest(wanted, candidates)
	}
	candidates = slices.Clone(candidates) // They are shared.
	slices.SortStableFunc(candidates, func(a, b diagnosis.Candidate) int { return b.Updated.Compare(a.Updated) })
	var names []string
	for _, c := range candidates[:min(len(candidates), diagnosis.MaxNearest)] {
		names = append(names, c.Name)
	}
	return names
}
