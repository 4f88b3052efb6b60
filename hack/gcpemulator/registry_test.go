// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func accessTokenAt(t *testing.T, target string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Metadata-Flavor", "Google")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil {
		t.Fatalf("status %d: %v", response.StatusCode, err)
	}
	return token.AccessToken
}

// mirror adds to each request what containerd adds for a host that stands in
// for another: the other's name.
type mirror struct{ of string }

func (m mirror) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	query := r.URL.Query()
	query.Set("ns", m.of)
	r.URL.RawQuery = query.Encode()
	return http.DefaultTransport.RoundTrip(r)
}

func TestPullThroughAMirror(t *testing.T) {
	e, _ := newEmulator(t)
	e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node))
	reference, err := name.ParseReference(strings.TrimPrefix(e.URL(), "http://") + "/acme/services/app:1.0")
	if err != nil {
		t.Fatal(err)
	}
	pull := func(token string) error {
		image, err := remote.Image(reference, remote.WithTransport(mirror{of: "us-central1-docker.pkg.dev"}),
			remote.WithAuth(&authn.Basic{Username: "oauth2accesstoken", Password: token}))
		if err != nil {
			return err
		}
		return validate.Image(image)
	}
	token := metadataToken(t, e, Instance{Project: "acme", Zone: "us-central1-a", Name: "vm", ServiceAccount: node})
	if err := pull(token); err != nil {
		t.Errorf("with a grant: %v", err)
	}
	e.SetPolicy(services, nil)
	if err := pull(token); err == nil || !strings.Contains(err.Error(), "DENIED") {
		t.Errorf("after the grant is gone: got %v, want DENIED", err)
	}
}

func TestRegistryAnswers(t *testing.T) {
	e, _ := newEmulator(t)
	e.AddRepository(Repository{Project: "acme", Location: "us-central1", Name: "public"})
	e.AddRepository(Repository{Project: "acme", Location: "us-central1", Name: "signed-in"})
	e.SetPolicy("projects/acme/locations/us-central1/repositories/public", policyOf(reader, "allUsers"))
	e.SetPolicy("projects/acme/locations/us-central1/repositories/signed-in", policyOf(reader, "allAuthenticatedUsers"))
	e.SetProjectPolicy("inherited", policyOf("roles/viewer", "serviceAccount:"+node))
	e.AddRepository(Repository{Project: "inherited", Location: "us-central1", Name: "services"})
	images := []string{
		"us-central1-docker.pkg.dev/acme/public/app:1.0",
		"us-central1-docker.pkg.dev/acme/signed-in/app:1.0",
		"us-central1-docker.pkg.dev/inherited/services/app:1.0",
		"registry.k8s.io/pause:3.10",
	}
	for _, image := range images {
		if err := e.PushImage(image); err != nil {
			t.Fatal(err)
		}
	}
	token := e.Token(node)
	denied := `{"errors":[{"code":"DENIED","message":"Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource \"`
	unauthenticated := `{"errors":[{"code":"DENIED","message":"Unauthenticated request. Unauthenticated requests do not have permission \"artifactregistry.repositories.downloadArtifacts\" on resource \"`
	end := `\" (or it may not exist)"}]}`
	noScope := metadataToken(t, e, Instance{ServiceAccount: node, Scopes: []string{"logging.write"}})

	for name, tc := range map[string]struct {
		image, token string
		wantStatus   int
		wantBody     string // The whole body, unless empty.
	}{
		"no grant":             {appImage, token, 403, denied + services + end},
		"missing repository":   {"us-central1-docker.pkg.dev/acme/none/app:1.0", token, 403, denied + "projects/acme/locations/us-central1/repositories/none" + end},
		"missing project":      {"us-docker.pkg.dev/none/r/app:1.0", token, 403, denied + "projects/none/locations/us/repositories/r" + end},
		"gcr.io":               {"eu.gcr.io/acme/app:1.0", token, 403, denied + "projects/acme/locations/europe/repositories/eu.gcr.io" + end},
		"domain-scoped":        {"us-docker.pkg.dev/example.com/web/r/app:1.0", token, 403, denied + "projects/example.com:web/locations/us/repositories/r" + end},
		"regional endpoint":    {"docker.us-central1.rep.pkg.dev/acme/services/app:1.0", token, 403, denied + services + end},
		"anonymous":            {appImage, "", 403, unauthenticated + services + end},
		"public, anonymous":    {images[0], "", 200, ""},
		"public, known":        {images[0], token, 200, ""},
		"signed in":            {images[1], token, 200, ""},
		"signed in, but not":   {images[1], "", 403, unauthenticated + "projects/acme/locations/us-central1/repositories/signed-in" + end},
		"by the project":       {images[2], token, 200, ""},
		"no such repository":   {"us-central1-docker.pkg.dev/inherited/none/app:1.0", token, 404, `{"errors":[{"code":"NAME_UNKNOWN","message":"Repository \"none\" not found"}]}`},
		"missing tag":          {"us-central1-docker.pkg.dev/acme/public/app:9", token, 404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"Failed to fetch \"9\""}]}`},
		"missing image":        {"us-central1-docker.pkg.dev/acme/public/none:1.0", token, 404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"Failed to fetch \"1.0\""}]}`},
		"short path":           {"us-central1-docker.pkg.dev/acme:1.0", token, 400, `{"errors":[{"code":"NAME_INVALID","message":"invalid number of path components: 1"}]}`},
		"token of nobody":      {appImage, "nobody's", 401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication failed"}]}`},
		"scope without images": {images[1], noScope, 403, denied + "projects/acme/locations/us-central1/repositories/signed-in" + end},
		"foreign registry":     {"ghcr.io/acme/app:1.0", token, 403, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := pullAs(t, e, tc.image, tc.token)
			if got.status != tc.wantStatus || (tc.wantBody != "" && got.body != tc.wantBody) {
				t.Errorf("got  %d %s\nwant %d %s", got.status, got.body, tc.wantStatus, tc.wantBody)
			}
		})
	}
	if got := get(t, e.URL()+"/v2/pause/manifests/3.10?ns=registry.k8s.io", "", ""); got.status != http.StatusOK {
		t.Errorf("a foreign image that was pushed: got %d %s", got.status, got.body)
	}
}

// A node that reaches the registry at another address gets its token there too.
func TestChallengeThroughAMirror(t *testing.T) {
	e, _ := newEmulator(t)
	realm := `Bearer realm="` + e.URL() + `/v2/token"`
	for path, want := range map[string]string{
		"/v2/?ns=" + registryDomain:                                realm,
		"/v2/acme/services/app/manifests/1.0?ns=" + registryDomain: realm + `,service="` + registryDomain + `",scope="repository:acme/services/app:pull"`,
		"/v2/team/app/manifests/1?ns=ghcr.io":                      realm + `,service="ghcr.io",scope="repository:team/app:pull"`,
	} {
		got := get(t, e.URL()+path, "", "")
		if got.status != http.StatusUnauthorized || got.header.Get("Www-Authenticate") != want {
			t.Errorf("%s: got %d %q, want 401 %q", path, got.status, got.header.Get("Www-Authenticate"), want)
		}
	}
}

// A token of the registry identifies the caller for twelve hours. The registry authorizes
// each request, and the APIs reject the token.
func TestRegistryTokenNamesTheCaller(t *testing.T) {
	e, clock := newEmulator(t)
	for _, repository := range []string{"services", "others"} {
		e.AddRepository(Repository{Project: "acme", Location: "us-central1", Name: repository})
		if err := e.PushImage(registryDomain + "/acme/" + repository + "/other:1.0"); err != nil {
			t.Fatal(err)
		}
	}
	e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node))
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth("_token", e.Token(node))
	query := url.Values{"service": {registryDomain}, "scope": {"repository:acme/services/app:pull"}}
	granted := get(t, e.URL()+"/v2/token?"+query.Encode(), "", r.Header.Get("Authorization"))
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(granted.body), &token); err != nil {
		t.Fatalf("%d %s", granted.status, granted.body)
	}
	wants := func(when, path string, want int) {
		t.Helper()
		if got := get(t, e.URL()+path, registryDomain, "Bearer "+token.Token); got.status != want {
			t.Errorf("%s: got %d %s, want %d", when, got.status, got.body, want)
		}
	}
	wants("its own image", "/v2/acme/services/app/manifests/1.0", http.StatusOK)
	wants("another image of the repository", "/v2/acme/services/other/manifests/1.0", http.StatusOK)
	wants("another repository", "/v2/acme/others/other/manifests/1.0", http.StatusForbidden)
	wants("the API", "/v1/"+services, http.StatusUnauthorized)
	e.SetPolicy(services, nil)
	wants("after the grant is gone", "/v2/acme/services/app/manifests/1.0", http.StatusForbidden)
	e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node))
	clock.SetTime(clock.Now().Add(registryTokenLife))
	wants("expired", "/v2/acme/services/app/manifests/1.0", http.StatusUnauthorized)
}

func TestPropagation(t *testing.T) {
	e, clock := newEmulator(t)
	e.SetPropagationDelay(2 * time.Minute)
	token := e.Token(node)
	expect := func(when string, want int) {
		t.Helper()
		if got := pullAs(t, e, appImage, token); got.status != want {
			t.Errorf("%s: got %d %s, want %d", when, got.status, got.body, want)
		}
	}
	e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node))
	if len(e.Policy(services).GetBindings()) != 1 {
		t.Error("the API does not show the new policy at once")
	}
	expect("just granted", http.StatusForbidden)
	clock.SetTime(clock.Now().Add(2*time.Minute - time.Second))
	expect("a second too early", http.StatusForbidden)
	clock.SetTime(clock.Now().Add(time.Second))
	expect("granted two minutes ago", http.StatusOK)
	e.SetPolicy(services, nil)
	expect("just revoked", http.StatusOK)
	clock.SetTime(clock.Now().Add(2 * time.Minute))
	expect("revoked two minutes ago", http.StatusForbidden)
	e.SetPropagationDelay(0)
	e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node))
	expect("without a delay", http.StatusOK)
	e.RestrictCaller(node)
	expect("denied above", http.StatusForbidden)
}

func TestBothHostsOfAGcrRepository(t *testing.T) {
	e, _ := newEmulator(t)
	e.AddRepository(Repository{Project: "acme", Location: "europe", Name: "eu.gcr.io"})
	e.SetPolicy("projects/acme/locations/europe/repositories/eu.gcr.io", policyOf(reader, "serviceAccount:"+node))
	if err := e.PushImage("eu.gcr.io/acme/team/app:1.0"); err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{"eu.gcr.io/acme/team/app:1.0", "europe-docker.pkg.dev/acme/eu.gcr.io/team/app:1.0"} {
		if got := pullAs(t, e, image, e.Token(node)); got.status != http.StatusOK {
			t.Errorf("%s: got %d %s", image, got.status, got.body)
		}
	}
}

func TestDeletedAccountLosesItsTokens(t *testing.T) {
	e, _ := newEmulator(t)
	e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node))
	token := e.Token(node)
	e.DeleteServiceAccount(node)
	if got := pullAs(t, e, appImage, token); got.status != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", got.status)
	}
}

func TestPushRefusesNoReference(t *testing.T) {
	e, _ := newEmulator(t)
	for _, image := range []string{"", "Not An Image", "us-docker.pkg.dev/acme:1.0"} {
		if err := e.PushImage(image); err == nil {
			t.Errorf("%q was pushed", image)
		}
	}
}
