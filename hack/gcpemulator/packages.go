// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func (e *Emulator) packagesEndpoint(r *http.Request) endpoint {
	return e.api("ListPackages", e.repositoryName(r, r.PathValue("repository")), e.listPackages)
}

func (e *Emulator) packagePath(r *http.Request) string {
	return e.repositoryName(r, r.PathValue("repository")) + "/packages/" + imageID(r, "package")
}

func (e *Emulator) packageEndpoint(r *http.Request) endpoint {
	return e.api("GetPackage", e.packagePath(r), e.getPackage)
}

func (e *Emulator) versionsEndpoint(r *http.Request) endpoint {
	return e.api("ListVersions", e.packagePath(r), e.listVersions)
}

func (e *Emulator) versionEndpoint(r *http.Request) endpoint {
	return e.api("GetVersion", e.packagePath(r)+"/versions/"+r.PathValue("version"), e.getVersion)
}

type packageJSON struct {
	Name       string `json:"name"`
	CreateTime string `json:"createTime"`
	UpdateTime string `json:"updateTime"`
}

type versionJSON struct {
	Name        string          `json:"name"`
	CreateTime  string          `json:"createTime"`
	UpdateTime  string          `json:"updateTime"`
	RelatedTags []tagJSON       `json:"relatedTags,omitempty"`
	Metadata    dockerImageJSON `json:"metadata"`

	created, updated time.Time
}

// packages are a repository's images by name.
func (e *Emulator) packages(repository string) []packageJSON {
	var found []packageJSON
	at := map[string]int{}
	for _, a := range e.state.artifactsOf(repository) {
		uploaded := a.uploaded.UTC().Format(time.RFC3339Nano)
		n, seen := at[a.image]
		if !seen {
			n, at[a.image] = len(found), len(found)
			found = append(found, packageJSON{Name: repository + "/packages/" + url.PathEscape(a.image), CreateTime: uploaded})
		}
		found[n].UpdateTime = uploaded
	}
	slices.SortFunc(found, func(a, b packageJSON) int { return cmp.Compare(a.Name, b.Name) })
	return found
}

func (e *Emulator) listPackages(who identity, repository string, r *http.Request) (any, error) {
	if _, err := e.reach(who, permissionPackages, repository); err != nil {
		return nil, err
	}
	return paged(r, "packages", e.packages(repository))
}

func (e *Emulator) getPackage(who identity, name string, _ *http.Request) (any, error) {
	repository, _, _ := strings.Cut(name, "/packages/")
	if _, err := e.reach(who, permissionPackage, repository); err != nil {
		return nil, err
	}
	return findNamed(e.packages(repository), name, func(p packageJSON) string { return p.Name })
}

// versions are the digests of one image, each with the tags that are on it now.
// Moving a tag there counts as an update.
func (e *Emulator) versions(parent string) []versionJSON {
	repository, escaped, _ := strings.Cut(parent, "/packages/")
	r, _ := e.state.repository(repository)
	described := map[string]dockerImageJSON{}
	for _, image := range e.dockerImages(r) {
		described[image.Name] = image
	}
	var found []versionJSON
	at := map[string]int{}
	for _, a := range e.state.artifactsOf(repository) {
		if url.PathEscape(a.image) != escaped {
			continue
		}
		name := parent + "/versions/" + a.digest
		n, seen := at[name]
		if !seen {
			n, at[name] = len(found), len(found)
			image := described[repository+"/dockerImages/"+url.PathEscape(a.image+"@"+a.digest)]
			found = append(found, versionJSON{Name: name, created: a.uploaded, Metadata: image})
		}
		found[n].updated = a.uploaded
		if a.tag != "" {
			found[n].RelatedTags = append(found[n].RelatedTags, tagJSON{Name: parent + "/tags/" + a.tag, Version: name})
		}
	}
	for n := range found {
		found[n].CreateTime = found[n].created.UTC().Format(time.RFC3339Nano)
		found[n].UpdateTime = found[n].updated.UTC().Format(time.RFC3339Nano)
	}
	return found
}

func (e *Emulator) listVersions(who identity, parent string, r *http.Request) (any, error) {
	repository, _, _ := strings.Cut(parent, "/packages/")
	if _, err := e.reach(who, permissionVersions, repository); err != nil {
		return nil, err
	}
	found := e.versions(parent)
	if len(found) == 0 {
		return nil, notFound("Requested entity was not found.")
	}
	if err := sortVersions(found, r.URL.Query().Get("orderBy")); err != nil {
		return nil, err
	}
	if r.URL.Query().Get("view") != "FULL" {
		for n := range found {
			found[n].RelatedTags = nil
		}
	}
	return paged(r, "versions", found)
}

func (e *Emulator) getVersion(who identity, name string, r *http.Request) (any, error) {
	parent, _, _ := strings.Cut(name, "/versions/")
	repository, _, _ := strings.Cut(parent, "/packages/")
	if _, err := e.reach(who, permissionVersion, repository); err != nil {
		return nil, err
	}
	found := e.versions(parent)
	if r.URL.Query().Get("view") != "FULL" {
		for n := range found {
			found[n].RelatedTags = nil
		}
	}
	return findNamed(found, name, func(v versionJSON) string { return v.Name })
}

// sortVersions knows the fields in all spellings, and " desc" behind them.
func sortVersions(versions []versionJSON, by string) error {
	field, direction, _ := strings.Cut(strings.TrimSpace(by), " ")
	var compare func(a, b versionJSON) int
	switch strings.ReplaceAll(strings.ToLower(field), "_", "") {
	case "":
		return nil
	case "name":
		compare = func(a, b versionJSON) int { return cmp.Compare(a.Name, b.Name) }
	case "createtime":
		compare = func(a, b versionJSON) int { return a.created.Compare(b.created) }
	case "updatetime":
		compare = func(a, b versionJSON) int { return a.updated.Compare(b.updated) }
	default:
		return invalidArgument("Invalid order_by.")
	}
	slices.SortStableFunc(versions, compare)
	switch strings.ToLower(strings.TrimSpace(direction)) {
	case "", "asc":
	case "desc":
		slices.Reverse(versions)
	default:
		return invalidArgument("Invalid order_by.")
	}
	return nil
}
