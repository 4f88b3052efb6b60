// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	atHost       = "us-central1-docker.pkg.dev/acme/services/"
	absentDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
)

func parse(t *testing.T, image string) imageref.Image {
	t.Helper()
	parsed, err := imageref.Parse(image)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// push stores images under their tags and tells the digest of each.
func push(t *testing.T, g *google, images ...string) map[string]string {
	t.Helper()
	digests := map[string]string{}
	for _, image := range images {
		made, err := random.Image(16, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.PushImageFrom(image, made); err != nil {
			t.Fatal(err)
		}
		var digest v1.Hash
		if digest, err = made.Digest(); err != nil {
			t.Fatal(err)
		}
		digests[image] = digest.String()
	}
	return digests
}

func TestContent(t *testing.T) {
	g := newGoogle(t)
	g.AddRepository(gcpemulator.Repository{Project: "acme", Location: "us", Name: "gcr.io"})
	g.AddRepository(gcpemulator.Repository{Project: "acme", Location: "us-central1", Name: "empty"})
	digests := push(t, g, atHost+"app:v1.2.3", atHost+"app:v1.2.4", atHost+"app:latest", atHost+"app:main",
		atHost+"team/web/api:v1", "gcr.io/acme/old:v7")
	present := diagnosis.Content{State: diagnosis.Present}
	for name, tc := range map[string]struct {
		image string
		want  diagnosis.Content
	}{
		"tag":               {image: atHost + "app:v1.2.3", want: present},
		"digest":            {image: atHost + "app@" + digests[atHost+"app:v1.2.3"], want: present},
		"name with slashes": {image: atHost + "team/web/api:v1", want: present},
		"digest of a name with slashes": {
			image: atHost + "team/web/api@" + digests[atHost+"team/web/api:v1"], want: present,
		},
		"gcr.io": {image: "gcr.io/acme/old:v7", want: present},
		"no such tag": {
			image: atHost + "app:v1.2.5",
			want:  diagnosis.Content{State: diagnosis.Missing, Nearest: []string{"v1.2.4", "v1.2.3", "main"}},
		},
		"no such tag of a name with slashes": {
			image: atHost + "team/web/api:v2", want: diagnosis.Content{State: diagnosis.Missing, Nearest: []string{"v1"}},
		},
		"no such digest": {
			image: atHost + "app@" + absentDigest, want: diagnosis.Content{State: diagnosis.Missing, Nearest: []string{"main", "latest", "v1.2.4"}},
		},
		"digest of another image": {
			image: atHost + "team/web/api@" + digests[atHost+"app:v1.2.3"], want: diagnosis.Content{State: diagnosis.Missing, Nearest: []string{"v1"}},
		},
		"no such image": {
			image: atHost + "team/web/app:v1",
			want:  diagnosis.Content{State: diagnosis.Missing, NoPackage: true, Nearest: []string{"team/web/api", "app"}},
		},
		"no image at all": {
			image: "us-central1-docker.pkg.dev/acme/empty/app:v1", want: diagnosis.Content{State: diagnosis.Missing, NoPackage: true},
		},
		"no repository": {
			image: "us-central1-docker.pkg.dev/acme/none/app:v1", want: diagnosis.Content{State: diagnosis.Missing, NoPackage: true},
		},
		"another registry": {image: "ghcr.io/acme/app:v1", want: diagnosis.Content{Obstacle: badRepository.obstacle("")}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, g.client.Content(t.Context(), parse(t, tc.image))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestContentWithFewPermissions(t *testing.T) {
	for name, tc := range map[string]struct {
		image string
		may   []string
		want  diagnosis.Content
		takes string
	}{
		"tag":        {image: atHost + "app:v1", may: []string{permissionGetTag}, want: diagnosis.Content{State: diagnosis.Present}},
		"tag, none":  {image: atHost + "app:v1", takes: permissionGetTag},
		"digest":     {image: atHost + "app@" + absentDigest, takes: permissionGetVersion},
		"no listing": {image: atHost + "app:v2", may: []string{permissionGetTag}, want: diagnosis.Content{State: diagnosis.Missing}},
		"no listing of images": {
			image: atHost + "web:v2", may: []string{permissionGetTag, "artifactregistry.versions.list"},
			want: diagnosis.Content{State: diagnosis.Missing, NoPackage: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			push(t, g, atHost+"app:v1")
			g.RestrictCaller("", tc.may...)
			got := g.client.Content(t.Context(), parse(t, tc.image))
			if tc.takes != "" {
				if got.Obstacle.Kind != diagnosis.Forbidden || got.Obstacle.Permission != tc.takes {
					t.Errorf("got %+v, want forbidden by %s", got, tc.takes)
				}
				tc.want = diagnosis.Content{Obstacle: got.Obstacle}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestContentReadsOnePage: a package may have many more versions than are worth reading.
func TestContentReadsOnePage(t *testing.T) {
	var queries []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/versions") {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"code":404,"message":"no","status":"NOT_FOUND"}}`)
			return
		}
		q := r.URL.Query()
		queries = append(queries, q.Get("pageSize")+" "+q.Get("orderBy")+" "+q.Get("view"))
		fmt.Fprint(w, `{"nextPageToken":"more","versions":[{"relatedTags":[{"name":"projects/p/tags/a"},{"name":"projects/p/tags/b"}]},{}]}`)
	}))
	t.Cleanup(server.Close)
	got := newClient(t, Options{Endpoint: server.URL}).Content(t.Context(), parse(t, atHost+"app:c"))
	if diff := cmp.Diff(diagnosis.Content{State: diagnosis.Missing, Nearest: []string{"a", "b"}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"250 update_time desc FULL"}, queries); diff != "" {
		t.Errorf("(-want +sent)\n%s", diff)
	}
}

// TestContentWhereGoogleRefusesTheOrder wants the newest all the same.
func TestContentWhereGoogleRefusesTheOrder(t *testing.T) {
	g := newGoogle(t)
	push(t, g, atHost+"app:v1", atHost+"app:v2", atHost+"app:v3", atHost+"app:v4")
	g.InjectFault(gcpemulator.Fault{Method: "ListVersions", HTTPStatus: http.StatusBadRequest, Message: "no such field", Times: 1})
	got := g.client.Content(t.Context(), parse(t, atHost+"app@"+absentDigest))
	if diff := cmp.Diff(diagnosis.Content{State: diagnosis.Missing, Nearest: []string{"v4", "v3", "v2"}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestListsServeAllImages: a tenant may ask for any number of tags and names that
// are not there.
func TestListsServeAllImages(t *testing.T) {
	g := newGoogle(t)
	push(t, g, atHost+"app:v1", atHost+"app:v2", atHost+"web:v7")
	ask := func(image string, want diagnosis.Content, wantTags, wantPackages int) {
		t.Helper()
		if diff := cmp.Diff(want, g.client.Content(t.Context(), parse(t, image))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", image, diff)
		}
		if tags, packages := g.count("ListVersions"), g.count("ListPackages"); tags != wantTags || packages != wantPackages {
			t.Errorf("%s: %d lists of tags and %d of packages so far, want %d and %d", image, tags, packages, wantTags, wantPackages)
		}
	}
	missing := func(nearest ...string) diagnosis.Content {
		return diagnosis.Content{State: diagnosis.Missing, Nearest: nearest}
	}
	ofNothing := diagnosis.Content{State: diagnosis.Missing, NoPackage: true, Nearest: []string{"app", "web"}}
	ask(atHost+"app:v3", missing("v2", "v1"), 1, 0)
	ask(atHost+"app@"+absentDigest, missing("v2", "v1"), 1, 0)
	ask(atHost+"app:v1x", missing("v1", "v2"), 1, 0)
	ask(atHost+"web:v3", missing("v7"), 2, 0)
	ask(atHost+"apq:v1", ofNothing, 3, 1)
	ask(atHost+"apq:v2", ofNothing, 3, 1)
	ask(atHost+"apr:v1", ofNothing, 4, 1)

	push(t, g, atHost+"app:v3", atHost+"apq:v1")
	ask(atHost+"app:v3", diagnosis.Content{State: diagnosis.Present}, 4, 1) // The image itself is asked for each time.
	ask(atHost+"apq:v1", diagnosis.Content{State: diagnosis.Present}, 4, 1)

	g.clock.Step(listTTL + time.Nanosecond)
	ask(atHost+"app:v4", missing("v3", "v2", "v1"), 5, 1)
	ask(atHost+"apq:v2", missing("v1"), 6, 1)
}

// TestAListThatMayNotBeReadIsAskedForSoon checks that a forbidden list is cached briefly.
func TestAListThatMayNotBeReadIsAskedForSoon(t *testing.T) {
	g := newGoogle(t)
	push(t, g, atHost+"app:v1")
	g.InjectFault(gcpemulator.Fault{Method: "ListVersions", HTTPStatus: http.StatusForbidden, Times: 1})
	image := parse(t, atHost+"app:v2")
	for _, tc := range []struct {
		after time.Duration
		want  diagnosis.Content
	}{
		{want: diagnosis.Content{State: diagnosis.Missing}},
		{after: briefTTL, want: diagnosis.Content{State: diagnosis.Missing}},
		{after: time.Nanosecond, want: diagnosis.Content{State: diagnosis.Missing, Nearest: []string{"v1"}}},
	} {
		g.clock.Step(tc.after)
		if diff := cmp.Diff(tc.want, g.client.Content(t.Context(), image)); diff != "" {
			t.Errorf("after %s (-want +got)\n%s", tc.after, diff)
		}
	}
}

// TestNearestLeavesTheListAsItIs: others read it at the same time.
func TestNearestLeavesTheListAsItIs(t *testing.T) {
	list := []diagnosis.Candidate{{Name: "old", Updated: time.Unix(1, 0)}, {Name: "new", Updated: time.Unix(2, 0)}}
	before := slices.Clone(list)
	for _, wanted := range []string{"", "new"} {
		if diff := cmp.Diff([]string{"new", "old"}, nearest(wanted, list)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", wanted, diff)
		}
		if diff := cmp.Diff(before, list); diff != "" {
			t.Errorf("%q (-before +after)\n%s", wanted, diff)
		}
	}
}

// TestAListIsBounded: what is remembered must not grow with what others push.
func TestAListIsBounded(t *testing.T) {
	var version strings.Builder
	for n := range maxNames - 1 {
		fmt.Fprintf(&version, `{"name":"projects/p/tags/t%d"},`, n)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		one := `{"relatedTags":[` + strings.TrimSuffix(version.String(), ",") + `]}`
		fmt.Fprint(w, `{"versions":[`+one+","+one+","+one+`]}`)
	}))
	t.Cleanup(server.Close)
	tags, f := newClient(t, Options{Endpoint: server.URL}).tags(t.Context(), services.ResourceName()+"/packages/app")
	if f != nil || len(tags) != maxNames {
		t.Errorf("%d tags and %v, want %d", len(tags), f, maxNames)
	}
}
