// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (e *Emulator) tagsEndpoint(r *http.Request) endpoint {
	return e.api("ListTags", e.packagePath(r), e.listTags)
}

func (e *Emulator) tagEndpoint(r *http.Request) endpoint {
	return e.api("GetTag", e.packagePath(r)+"/tags/"+r.PathValue("tag"), e.getTag)
}

func (e *Emulator) dockerImagesEndpoint(r *http.Request) endpoint {
	return e.api("ListDockerImages", e.repositoryName(r, r.PathValue("repository")), e.listDockerImages)
}

func (e *Emulator) dockerImageEndpoint(r *http.Request) endpoint {
	parent := e.repositoryName(r, r.PathValue("repository"))
	return e.api("GetDockerImage", parent+"/dockerImages/"+imageID(r, "image"), e.getDockerImage)
}

// imageID is the part of a path that holds an image's name, slashes escaped.
// Some clients escape it once, as the API's pages say, and some once more.
func imageID(r *http.Request, part string) string {
	id, err := url.PathUnescape(r.PathValue(part))
	if err != nil {
		id = r.PathValue(part)
	}
	return url.PathEscape(id)
}

type tagJSON struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type dockerImageJSON struct {
	Name       string   `json:"name"`
	URI        string   `json:"uri"`
	Tags       []string `json:"tags,omitempty"`
	SizeBytes  string   `json:"imageSizeBytes"`
	MediaType  string   `json:"mediaType"`
	UploadTime string   `json:"uploadTime"`
	UpdateTime string   `json:"updateTime"`
}

// artifactsOf lists what a repository holds, in the order of its pushes. No two
// are of the same time, also where the clock stood still between them.
func (s *state) artifactsOf(repository string) []artifact {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := slices.Clone(s.artifacts[repository])
	for n := 1; n < len(kept); n++ {
		if before := kept[n-1].uploaded; !kept[n].uploaded.After(before) {
			kept[n].uploaded = before.Add(time.Microsecond)
		}
	}
	return kept
}

// tags are the tags of one image, named as the API names its parent.
func (e *Emulator) tags(parent string) []tagJSON {
	repository, escaped, _ := strings.Cut(parent, "/packages/")
	image, err := url.PathUnescape(escaped)
	if err != nil {
		return nil
	}
	var tags []tagJSON
	for _, a := range e.state.artifactsOf(repository) {
		if a.image == image && a.tag != "" {
			tags = append(tags, tagJSON{Name: parent + "/tags/" + a.tag, Version: parent + "/versions/" + a.digest})
		}
	}
	slices.SortFunc(tags, func(a, b tagJSON) int { return cmp.Compare(a.Name, b.Name) })
	return tags
}

func (e *Emulator) listTags(who identity, parent string, r *http.Request) (any, error) {
	repository, _, _ := strings.Cut(parent, "/packages/")
	if _, err := e.reach(who, permissionTags, repository); err != nil {
		return nil, err
	}
	return paged(r, "tags", e.tags(parent))
}

func (e *Emulator) getTag(who identity, name string, _ *http.Request) (any, error) {
	repository, _, _ := strings.Cut(name, "/packages/")
	if _, err := e.reach(who, permissionTag, repository); err != nil {
		return nil, err
	}
	parent, _, _ := strings.Cut(name, "/tags/")
	return findNamed(e.tags(parent), name, func(t tagJSON) string { return t.Name })
}

// dockerImages are a repository's images by digest, each with its tags.
func (e *Emulator) dockerImages(r storedRepository) []dockerImageJSON {
	var images []dockerImageJSON
	at := map[string]int{}
	for _, a := range e.state.artifactsOf(r.resourceName()) {
		id := a.image + "@" + a.digest
		n, seen := at[id]
		uploaded := a.uploaded.UTC().Format(time.RFC3339Nano)
		if !seen {
			n, at[id] = len(images), len(images)
			images = append(images, dockerImageJSON{
				Name: r.resourceName() + "/dockerImages/" + url.PathEscape(id), URI: r.registryURI() + "/" + id,
				SizeBytes: strconv.FormatInt(a.size, 10), MediaType: a.mediaType,
				UploadTime: uploaded,
			})
		}
		images[n].UpdateTime = uploaded
		if a.tag != "" {
			images[n].Tags = append(images[n].Tags, a.tag)
		}
	}
	return images
}

func (e *Emulator) listDockerImages(who identity, parent string, request *http.Request) (any, error) {
	r, err := e.reach(who, permissionImages, parent)
	if err != nil {
		return nil, err
	}
	return paged(request, "dockerImages", e.dockerImages(r))
}

func (e *Emulator) getDockerImage(who identity, name string, _ *http.Request) (any, error) {
	repository, _, _ := strings.Cut(name, "/dockerImages/")
	r, err := e.reach(who, permissionImage, repository)
	if err != nil {
		return nil, err
	}
	return findNamed(e.dockerImages(r), name, func(d dockerImageJSON) string { return d.Name })
}
