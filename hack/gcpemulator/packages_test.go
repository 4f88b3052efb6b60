// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"errors"
	"net/http"
	"path"
	"testing"
	"time"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const repositoryURI = "us-central1-docker.pkg.dev/acme/services"

func TestVersions(t *testing.T) {
	e, _ := newEmulator(t) // Its clock stands still.
	for _, image := range []string{"/app:1.1", "/app:1.2", "/app:stable", "/team/web:2.0"} {
		if err := e.PushImage(repositoryURI + image); err != nil {
			t.Fatal(err)
		}
	}
	client := newClient(t, e)
	list := func(parent, orderBy string, view artifactregistrypb.VersionView) (tags []string, err error) {
		versions := client.ListVersions(t.Context(), &artifactregistrypb.ListVersionsRequest{Parent: parent, OrderBy: orderBy, View: view, PageSize: 2})
		for {
			version, err := versions.Next()
			if errors.Is(err, iterator.Done) {
				return tags, nil
			}
			if err != nil {
				return nil, err
			}
			tag := "none"
			for _, related := range version.GetRelatedTags() {
				tag = path.Base(related.GetName())
			}
			tags = append(tags, tag)
		}
	}
	for name, tc := range map[string]struct {
		parent, orderBy string
		view            artifactregistrypb.VersionView
		want            []string
		wantCode        codes.Code
	}{
		"newest first":           {services + "/packages/app", "update_time desc", artifactregistrypb.VersionView_FULL, []string{"stable", "1.2", "1.1", "1.0"}, codes.OK},
		"oldest first":           {services + "/packages/app", "updateTime", artifactregistrypb.VersionView_FULL, []string{"1.0", "1.1", "1.2", "stable"}, codes.OK},
		"without tags":           {services + "/packages/app", "", artifactregistrypb.VersionView_BASIC, []string{"none", "none", "none", "none"}, codes.OK},
		"a name with a slash":    {services + "/packages/team%2Fweb", "", artifactregistrypb.VersionView_FULL, []string{"2.0"}, codes.OK},
		"no such image":          {services + "/packages/none", "", artifactregistrypb.VersionView_FULL, nil, codes.NotFound},
		"an order nobody knows":  {services + "/packages/app", "size", artifactregistrypb.VersionView_FULL, nil, codes.InvalidArgument},
		"no such repository":     {"projects/acme/locations/us/repositories/none/packages/app", "", artifactregistrypb.VersionView_FULL, nil, codes.NotFound},
		"an order turned around": {services + "/packages/app", "create_time sideways", artifactregistrypb.VersionView_FULL, nil, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := list(tc.parent, tc.orderBy, tc.view)
			if diff := cmp.Diff(tc.want, got); diff != "" || status.Code(err) != tc.wantCode {
				t.Errorf("got %v, want %v (-want +got):\n%s", err, tc.wantCode, diff)
			}
		})
	}
	e.RestrictCaller("", permissionTags)
	if _, err := list(services+"/packages/app", "", artifactregistrypb.VersionView_FULL); status.Code(err) != codes.PermissionDenied {
		t.Errorf("without %s: got %v", permissionVersions, err)
	}
}

func TestPackages(t *testing.T) {
	e, _ := newEmulator(t)
	if err := e.PushImage(repositoryURI + "/team/web:2.0"); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, e)
	packages := client.ListPackages(t.Context(), &artifactregistrypb.ListPackagesRequest{Parent: services, PageSize: 1})
	var names []string
	for {
		found, err := packages.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found.GetName())
	}
	if diff := cmp.Diff([]string{services + "/packages/app", services + "/packages/team%2Fweb"}, names); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	for name, want := range map[string]codes.Code{"app": codes.OK, "team%2Fweb": codes.OK, "none": codes.NotFound} {
		if _, err := client.GetPackage(t.Context(), &artifactregistrypb.GetPackageRequest{Name: services + "/packages/" + name}); status.Code(err) != want {
			t.Errorf("GetPackage %s: got %v, want %v", name, err, want)
		}
	}
}

func TestCreateRepository(t *testing.T) {
	e, _ := newEmulator(t)
	client := newClient(t, e)
	create := func(id string, format artifactregistrypb.Repository_Format) (*artifactregistrypb.Repository, error) {
		operation, err := client.CreateRepository(t.Context(), &artifactregistrypb.CreateRepositoryRequest{
			Parent: "projects/acme/locations/us", RepositoryId: id, Repository: &artifactregistrypb.Repository{Format: format},
		})
		if err != nil {
			return nil, err
		}
		return operation.Wait(t.Context())
	}
	made, err := create("fresh", artifactregistrypb.Repository_DOCKER)
	if err != nil || made.GetRegistryUri() != "us-docker.pkg.dev/acme/fresh" {
		t.Errorf("got %v, %v", made, err)
	}
	_, err = create("fresh", artifactregistrypb.Repository_DOCKER)
	refusedWith(t, err, http.StatusConflict, "already exists")
	if _, err = create("Bad_Name", artifactregistrypb.Repository_DOCKER); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a name that is none: got %v", err)
	}
	e.RestrictCaller("", permissionGet)
	if _, err = create("other", artifactregistrypb.Repository_DOCKER); status.Code(err) != codes.PermissionDenied {
		t.Errorf("without %s: got %v", permissionCreate, err)
	}
}

func TestUploadTimesFollowThePushes(t *testing.T) {
	e, _ := newEmulator(t) // Its clock stands still.
	for _, image := range []string{"/app:1.1", "/web:1.0"} {
		if err := e.PushImage(repositoryURI + image); err != nil {
			t.Fatal(err)
		}
	}
	images := newClient(t, e).ListDockerImages(t.Context(), &artifactregistrypb.ListDockerImagesRequest{Parent: services})
	var times []time.Time
	for {
		image, err := images.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, image.GetUploadTime().AsTime())
	}
	if len(times) != 3 || !times[0].Before(times[1]) || !times[1].Before(times[2]) {
		t.Errorf("upload times are %v", times)
	}
}
