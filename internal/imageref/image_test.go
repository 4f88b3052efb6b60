// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package imageref

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	tests := map[string]struct {
		image string
		want  Image
		why   string
	}{
		"regional host": {
			image: "us-central1-docker.pkg.dev/acme-prod/services/checkout:1.8.2",
			want: Image{
				Registry: "us-central1-docker.pkg.dev", Path: "acme-prod/services/checkout", Tag: "1.8.2",
				Repository: Repository{"acme-prod", "us-central1", "services"}, Package: "checkout",
			},
		},
		"multi-region, nested image, digest": {
			image: "europe-docker.pkg.dev/acme/team/api/server@" + digest,
			want: Image{
				Registry: "europe-docker.pkg.dev", Path: "acme/team/api/server", Digest: digest,
				Repository: Repository{"acme", "europe", "team"}, Package: "api/server",
			},
		},
		"regional endpoint": {
			image: "docker.us-east4.rep.pkg.dev/acme/services/app",
			want: Image{
				Registry: "docker.us-east4.rep.pkg.dev", Path: "acme/services/app", Tag: "latest",
				Repository: Repository{"acme", "us-east4", "services"}, Package: "app",
			},
			why: "no tag means latest, as for the kubelet",
		},
		"domain-scoped project": {
			image: "us-west1-docker.pkg.dev/example.com/web/services/app:1",
			want: Image{
				Registry: "us-west1-docker.pkg.dev", Path: "example.com/web/services/app", Tag: "1",
				Repository: Repository{"example.com:web", "us-west1", "services"}, Package: "app",
			},
			why: "the API's project ID has a colon where the path has a slash",
		},
		"gcr.io": {
			image: "gcr.io/acme/app:1",
			want: Image{
				Registry: "gcr.io", Path: "acme/app", Tag: "1",
				Repository: Repository{"acme", "us", "gcr.io"}, Package: "app",
			},
		},
		"eu.gcr.io, domain-scoped": {
			image: "eu.gcr.io/example.com/web/app:1",
			want: Image{
				Registry: "eu.gcr.io", Path: "example.com/web/app", Tag: "1",
				Repository: Repository{"example.com:web", "europe", "eu.gcr.io"}, Package: "app",
			},
			why: "the location is europe, not eu",
		},
		"Docker Hub short name": {
			image: "nginx",
			want:  Image{Registry: "docker.io", Path: "library/nginx", Tag: "latest"},
		},
		"Google's own images": {
			image: "registry.k8s.io/pause:3.10",
			want:  Image{Registry: "registry.k8s.io", Path: "pause", Tag: "3.10"},
			why:   "never a repository that could be opened",
		},
		"system images of GKE": {
			image: "us-central1-artifactregistry.gcr.io/gke-release/gke-release/pause:1",
			want:  Image{Registry: "us-central1-artifactregistry.gcr.io", Path: "gke-release/gke-release/pause", Tag: "1"},
		},
		"look-alike suffix": {
			image: "us-docker.pkg.dev.evil.example/acme/services/app:1",
			want:  Image{Registry: "us-docker.pkg.dev.evil.example", Path: "acme/services/app", Tag: "1"},
		},
		"look-alike prefix": {
			image: "evil.us-docker.pkg.dev/acme/services/app:1",
			want:  Image{Registry: "evil.us-docker.pkg.dev", Path: "acme/services/app", Tag: "1"},
			why:   "a location has no dot",
		},
		"Google host with a port": {
			image: "us-docker.pkg.dev:8443/acme/services/app:1",
			want:  Image{Registry: "us-docker.pkg.dev:8443", Path: "acme/services/app", Tag: "1"},
			why:   "another port is another server",
		},
		"tag and digest": {
			image: "us-docker.pkg.dev/acme/services/app:1@" + digest,
			want: Image{
				Registry: "us-docker.pkg.dev", Path: "acme/services/app", Digest: digest,
				Repository: Repository{"acme", "us", "services"}, Package: "app",
			},
			why: "the runtime pulls by digest and drops the tag",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.image)
			if err != nil {
				t.Fatalf("Parse(%q): %v", tc.image, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Parse(%q) (-want +got) %s:\n%s", tc.image, tc.why, diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, image := range map[string]string{
		"empty":               "",
		"upper case":          "us-docker.pkg.dev/acme/Services/app",
		"space":               "us-docker.pkg.dev/acme/services/my app",
		"no repository":       "us-docker.pkg.dev/acme/app:1",
		"no project":          "us-docker.pkg.dev/app:1",
		"domain without more": "us-docker.pkg.dev/example.com/web/app",
		"gcr.io alone":        "gcr.io/acme:1",
		"bad digest":          "us-docker.pkg.dev/acme/services/app@sha256:123",
		"very long":           strings.Repeat("a", 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(image)
			if err == nil {
				t.Fatalf("Parse(%q) = %+v, want an error", cut(image), got)
			}
			if !got.Repository.IsZero() {
				t.Errorf("a refused image names repository %s", got.Repository)
			}
			if len(err.Error()) > 2*maxShown {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
		})
	}
}

// TestParseNamesNoImage parses references that name no image. They are valid to the kubelet, which
// tries to pull them.
func TestParseNamesNoImage(t *testing.T) {
	for image, want := range map[string]NoImageError{
		"us-docker.pkg.dev/acme/services:1":           {Repository{"acme", "us", "services"}, "us-docker.pkg.dev/acme/services/IMAGE:1"},
		"us-docker.pkg.dev/acme/services@" + digest:   {Repository{"acme", "us", "services"}, "us-docker.pkg.dev/acme/services/IMAGE@" + digest},
		"docker.us-east4.rep.pkg.dev/acme/services":   {Repository{"acme", "us-east4", "services"}, "docker.us-east4.rep.pkg.dev/acme/services/IMAGE:latest"},
		"us-west1-docker.pkg.dev/example.com/web/app": {Repository{"example.com:web", "us-west1", "app"}, "us-west1-docker.pkg.dev/example.com/web/app/IMAGE:latest"},
		"us-docker.pkg.dev/example.com/web:1":         {Repository{"example.com:web", "us", ""}, "us-docker.pkg.dev/example.com/web/REPOSITORY/IMAGE:1"},
		"us-docker.pkg.dev/acme:1":                    {Repository{"acme", "us", ""}, "us-docker.pkg.dev/acme/REPOSITORY/IMAGE:1"},
		"us-docker.pkg.dev/example.com:1":             {Repository{"", "us", ""}, "us-docker.pkg.dev/example.com/PROJECT/REPOSITORY/IMAGE:1"},
		"eu.gcr.io/acme:1":                            {Repository{"acme", "europe", "eu.gcr.io"}, "eu.gcr.io/acme/IMAGE:1"},
		"gcr.io/example.com:1":                        {Repository{"", "us", "gcr.io"}, "gcr.io/example.com/PROJECT/IMAGE:1"},
	} {
		got, err := Parse(image)
		var nameless *NoImageError
		if !errors.As(err, &nameless) || !errors.Is(err, ErrPath) || got != (Image{}) {
			t.Errorf("Parse(%q) = %+v, %v; want no image, and why", image, got, err)
			continue
		}
		if diff := cmp.Diff(want, *nameless); diff != "" {
			t.Errorf("Parse(%q) (-want +got)\n%s", image, diff)
		}
	}
	for name, image := range map[string]string{"upper case": "us-docker.pkg.dev/acme/Services:1", "other registry": "ghcr.io/acme:1"} {
		var nameless *NoImageError
		if _, err := Parse(image); errors.As(err, &nameless) {
			t.Errorf("%s: Parse(%q) = %v", name, image, err)
		}
	}
}

func TestResourceNameRoundTrip(t *testing.T) {
	want := Repository{"example.com:web", "europe", "eu.gcr.io"}
	got, err := ParseResourceName(want.ResourceName())
	if err != nil || got != want {
		t.Fatalf("ParseResourceName(%q) = %v, %v; want %v", want.ResourceName(), got, err, want)
	}
	for _, bad := range []string{"", "projects/p", "projects//locations/l/repositories/r", "projects/p/locations/l/repositories/r/packages/x"} {
		if got, err := ParseResourceName(bad); err == nil {
			t.Errorf("ParseResourceName(%q) = %v, want an error", bad, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("us-central1-docker.pkg.dev/acme/services/app:1")
	f.Add("gcr.io/example.com/web/app@" + digest)
	f.Add("docker.us-east4.rep.pkg.dev/acme/services/team/app:1@" + digest)
	f.Add("us-docker.pkg.dev.evil.example/acme/services/app")
	f.Add("nginx")
	f.Fuzz(func(t *testing.T, image string) {
		parsed, err := Parse(image)
		if err != nil {
			if parsed != (Image{}) {
				t.Errorf("%q is refused, and is %+v", image, parsed)
			}
			return
		}
		again, err := Parse(parsed.String())
		if err != nil {
			t.Fatalf("%q parses, its normal form %q does not: %v", image, parsed, err)
		}
		if diff := cmp.Diff(parsed, again); diff != "" {
			t.Errorf("%q changes when parsed twice:\n%s", image, diff)
		}
		if parsed.Google() == parsed.Repository.IsZero() {
			t.Errorf("%q: Google() = %v with repository %q", image, parsed.Google(), parsed.Repository)
		}
		if parsed.Google() {
			wantServed(t, image, parsed)
		}
	})
}

// servedHosts are all the hosts of which a repository may be opened, told
// independently: those of Container Registry stand for one repository each.
var (
	servedHosts = regexp.MustCompile(`^(?:([a-z0-9-]+)-docker\.pkg\.dev|docker\.([a-z0-9-]+)\.rep\.pkg\.dev)$`)
	gcrHosts    = map[string]string{"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
)

// wantServed fails unless image is to the letter an image in the repository that it
// was read as, on a host that serves that repository.
func wantServed(t *testing.T, image string, parsed Image) {
	t.Helper()
	repository := parsed.Repository
	project := strings.Replace(repository.Project, ":", "/", 1)
	path := project + "/" + repository.Name + "/" + parsed.Package
	if location, gcr := gcrHosts[parsed.Registry]; gcr {
		path = project + "/" + parsed.Package
		if repository.Name != parsed.Registry || repository.Location != location {
			t.Errorf("%q is served by %s", image, repository)
		}
	} else if host := servedHosts.FindStringSubmatch(parsed.Registry); host == nil || repository.Location != host[1]+host[2] {
		t.Errorf("%q is served by %s", image, repository)
	}
	if begin := parsed.Registry + "/" + path; parsed.Package == "" || path != parsed.Path || !strings.HasPrefix(image, begin) {
		t.Errorf("%q is read as image %q of repository %s", image, parsed.Package, repository)
	}
	if same, err := ParseResourceName(repository.ResourceName()); err != nil || same != repository {
		t.Errorf("%q: the resource name %q is that of %v, %v", image, repository.ResourceName(), same, err)
	}
}
