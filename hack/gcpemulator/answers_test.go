// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
)

// The sources of the live service's responses. GCP-FACTS is the project's collection of
// facts about Google Cloud. The numbers are its sections.
const (
	seenByCurl      = "GCP-FACTS 15: live curls of the registry data plane"
	seenOfRegistry  = "GCP-FACTS 6: registry bodies"
	seenIn2026      = "GCP-FACTS 15: Terraform captures of 2026"
	seenOnTheWire   = "GCP-FACTS 15: recorded traffic of Config Connector"
	seenOfIAM       = "GCP-FACTS 1: Artifact Registry's IAM API"
	seenInThreads   = "GCP-FACTS 15: two public threads on unknown locations"
	seenOfEnums     = "GCP-FACTS 15: enum-encoding=int"
	notSeenOfGet    = "GCP-FACTS 15: a GET for an unknown location was not seen; it is taken to answer as the IAM read"
	olderTextOccurs = "GCP-FACTS 15: the older text still occurs"
)

const (
	registryDomain = "us-central1-docker.pkg.dev"
	realm          = `Bearer realm="http://` + registryDomain + `/v2/token"`
	asNumbers      = "?%24alt=json%3Benum-encoding%3Dint"
	etagOfAny      = "*"
)

// liveAnswer is one response of the live service.
type liveAnswer struct {
	source  string
	arrange func(e *Emulator)
	method  string // GET if empty.
	host    string // The Host header; the emulator's own address if empty.
	path    string
	auth    string // The Authorization header; TOKEN stands for an access token of the node's account.
	body    string

	wantStatus    int
	wantChallenge string // The Www-Authenticate header; empty means that there is none.
	wantAllow     string // The Allow header.
	want          string // The whole body, as JSON; an etag of "*" is any. Empty means that the body is not known.
}

// registryError is the body of a registry's error.
func registryError(code, message string) string {
	return `{"errors":[{"code":"` + code + `","message":` + quoted(message) + `}]}`
}

// apiError is the body of an API's error without details.
func apiError(code, status, message string) string {
	return `{"error":{"code":` + code + `,"status":"` + status + `","message":` + quoted(message) + `}}`
}

// apiDenial is the body of a denial by IAM.
func apiDenial(service, permission, resource, message string) string {
	return `{"error":{"code":403,"status":"PERMISSION_DENIED","message":` + quoted(message) + `,"details":[{
		"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"IAM_PERMISSION_DENIED","domain":"` + service + `",
		"metadata":{"permission":"` + permission + `","resource":"` + resource + `"}}]}}`
}

// artifactsDenial is the denial of a call on the tests' repository.
func artifactsDenial(permission string) string {
	return apiDenial("artifactregistry.googleapis.com", permission, services,
		"Permission '"+permission+"' denied on resource '//artifactregistry.googleapis.com/"+services+"' (or it may not exist).")
}

func quoted(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

func denialOf(resource string) string {
	return `Permission "artifactregistry.repositories.downloadArtifacts" denied on resource "` + resource + `" (or it may not exist)`
}

var liveRegistryAnswers = map[string]liveAnswer{
	"ping": {
		source: seenByCurl, host: registryDomain, path: "/v2/",
		wantStatus: 401, wantChallenge: realm, want: registryError("UNAUTHORIZED", "not authenticated: No credential was supplied."),
	},
	"manifest": {
		source: seenByCurl, host: registryDomain, path: "/v2/acme/services/app/manifests/1.0",
		wantStatus:    401,
		wantChallenge: realm + `,service="` + registryDomain + `",scope="repository:acme/services/app:pull"`,
		want:          registryError("UNAUTHORIZED", "not authenticated: No valid credential was supplied."),
	},
	"blob": {
		source: seenByCurl, host: registryDomain, path: "/v2/acme/services/team/app/blobs/sha256:00",
		wantStatus:    401,
		wantChallenge: realm + `,service="` + registryDomain + `",scope="repository:acme/services/team/app:pull"`,
	},
	"tags": {
		source: seenByCurl, host: registryDomain, path: "/v2/acme/services/app/tags/list",
		wantStatus:    401,
		wantChallenge: realm + `,service="` + registryDomain + `",scope="repository:acme/services/app:pull"`,
	},
	"manifest at another host": {
		source: seenByCurl, host: "eu.gcr.io", path: "/v2/acme/app/manifests/1.0",
		wantStatus:    401,
		wantChallenge: `Bearer realm="http://eu.gcr.io/v2/token",service="eu.gcr.io",scope="repository:acme/app:pull"`,
	},
	"invalid bearer": {
		source: seenByCurl, host: registryDomain, path: "/v2/acme/services/app/manifests/1.0", auth: "Bearer notarealtoken",
		wantStatus: 401, want: registryError("UNAUTHORIZED", "No valid credential was supplied."),
	},
	"invalid bearer at the ping": {
		source: seenByCurl, host: registryDomain, path: "/v2/", auth: "Bearer notarealtoken",
		wantStatus: 401, want: registryError("UNAUTHORIZED", "No valid credential was supplied."),
	},
	"Basic of no user": {
		source: seenByCurl, host: registryDomain, path: "/v2/", auth: "Basic bm9ib2R5OnNlY3JldA==",
		wantStatus: 401, want: registryError("UNAUTHORIZED", "No valid credential was supplied."),
	},
	"image name forgotten": {
		source: seenByCurl, host: registryDomain, path: "/v2/acme/services/manifests/1.0",
		wantStatus:    401,
		wantChallenge: realm + `,service="` + registryDomain + `",scope="repository:acme/services/pkg:pull"`,
		want:          registryError("UNAUTHORIZED", "not authenticated: No valid credential was supplied."),
	},
	"image name forgotten, with a credential": {
		source: seenByCurl, host: registryDomain, path: "/v2/acme/services/manifests/1.0", auth: "Bearer TOKEN",
		wantStatus: 403, want: registryError("DENIED", denialOf(services)),
	},
	"image name forgotten, at the token endpoint": {
		source: seenByCurl, host: registryDomain, path: "/v2/token?service=" + registryDomain + "&scope=repository:acme/services/pkg:pull",
		wantStatus: 403, want: registryError("DENIED", "Unauthenticated request. Unauthenticated requests do not have permission "+
			`"artifactregistry.repositories.downloadArtifacts" on resource "`+services+`" (or it may not exist)`),
	},
	"project alone": {
		source: seenOfRegistry, host: registryDomain, path: "/v2/acme/manifests/1.0",
		wantStatus: 400, want: registryError("NAME_INVALID", "invalid number of path components: 1"),
	},
	"access token without permission": {
		source: seenOfRegistry, host: registryDomain, path: "/v2/acme/services/app/manifests/1.0", auth: "Bearer TOKEN",
		wantStatus: 403, want: registryError("DENIED", denialOf(services)),
	},
	"POST to the token endpoint": {
		source: seenByCurl, method: http.MethodPost, host: registryDomain, path: "/v2/token", wantStatus: 405, wantAllow: http.MethodGet,
	},
	"invalid Basic at the token endpoint": {
		source: seenOfRegistry, host: registryDomain, path: "/v2/token", auth: "Basic bm9ib2R5OnNlY3JldA==",
		wantStatus: 401, want: registryError("UNAUTHORIZED", "authentication failed"),
	},
}

var liveAPIAnswers = map[string]liveAnswer{
	"getIamPolicy without permission": {
		source: seenIn2026, path: "/v1/" + services + ":getIamPolicy", auth: "Bearer TOKEN",
		wantStatus: 403, want: artifactsDenial(permissionGetIAM),
	},
	"setIamPolicy without permission": {
		source: seenIn2026, method: http.MethodPost, path: "/v1/" + services + ":setIamPolicy", auth: "Bearer TOKEN", body: `{"policy":{}}`,
		wantStatus: 403, want: artifactsDenial(permissionSetIAM),
	},
	"repository without permission": {
		source: seenIn2026, path: "/v1/" + services, auth: "Bearer TOKEN", wantStatus: 403, want: artifactsDenial(permissionGet),
	},
	"getIamPolicy of a project without permission": {
		source: olderTextOccurs, method: http.MethodPost, path: "/v3/projects/acme:getIamPolicy", auth: "Bearer TOKEN", body: `{}`,
		wantStatus: 403, want: apiDenial(serviceProjects, permissionProjectIAM, "projects/acme", "The caller does not have permission"),
	},
	"missing repository": {
		source: seenOfIAM, path: "/v1/projects/acme/locations/us/repositories/none:getIamPolicy",
		wantStatus: 404, want: apiError("404", "NOT_FOUND", "Requested entity was not found."),
	},
	"stale etag": {
		source: seenOfIAM, method: http.MethodPost, path: "/v1/" + services + ":setIamPolicy", body: `{"policy":{"etag":"BwAAAAAAAAk="}}`,
		wantStatus: 409, want: apiError("409", "ABORTED",
			"There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."),
	},
	"IAM policy that was never written": {
		source: seenOfIAM, path: "/v1/" + services + ":getIamPolicy", wantStatus: 200, want: `{"etag":"ACAB"}`,
	},
	"IAM policy that a write emptied": {
		source: seenOnTheWire, method: http.MethodPost, path: "/v1/" + services + ":setIamPolicy", body: `{"policy":{"etag":"ACAB"}}`,
		wantStatus: 200, want: `{"etag":"*","version":1}`,
	},
	"IAM policy that was emptied, read": {
		source: seenOnTheWire, arrange: func(e *Emulator) { e.SetPolicy(services, &iampb.Policy{}) },
		path: "/v1/" + services + ":getIamPolicy", wantStatus: 200, want: `{"etag":"*","version":1}`,
	},
	"audit settings as numbers": {
		source: seenOfEnums, arrange: audited, path: "/v1/" + services + ":getIamPolicy" + asNumbers, wantStatus: 200,
		want: `{"etag":"*","version":1,"auditConfigs":[{"service":"allServices","auditLogConfigs":[{"logType":3}]}]}`,
	},
	"audit settings as names": {
		source: seenOfEnums, arrange: audited, path: "/v1/" + services + ":getIamPolicy", wantStatus: 200,
		want: `{"etag":"*","version":1,"auditConfigs":[{"service":"allServices","auditLogConfigs":[{"logType":"DATA_READ"}]}]}`,
	},
	"create in an unknown location": {
		source: seenInThreads, method: http.MethodPost, path: "/v1/projects/acme/locations/us-nowhere1/repositories?repositoryId=fresh",
		body: `{"format":"DOCKER"}`, wantStatus: 400, want: unknownLocation,
	},
	"IAM policy in an unknown location": {
		source: seenInThreads, path: "/v1/projects/acme/locations/us-nowhere1/repositories/services:getIamPolicy",
		wantStatus: 400, want: unknownLocation,
	},
	"repository in an unknown location": {
		source: notSeenOfGet, path: "/v1/projects/acme/locations/us-nowhere1/repositories/services", wantStatus: 400, want: unknownLocation,
	},
	"location as a wildcard": {
		source: notSeenOfGet, path: "/v1/projects/acme/locations/-/repositories/services", wantStatus: 400, want: unknownLocation,
	},
}

var unknownLocation = apiError("400", "INVALID_ARGUMENT", "Request contains an invalid argument.")

func audited(e *Emulator) {
	e.SetPolicy(services, &iampb.Policy{AuditConfigs: []*iampb.AuditConfig{{
		Service: "allServices", AuditLogConfigs: []*iampb.AuditLogConfig{{LogType: iampb.AuditLogConfig_DATA_READ}},
	}}})
}

// TestAnswersLikeTheLiveService compares the emulator's responses with recorded responses of Google, including
// whole bodies.
func TestAnswersLikeTheLiveService(t *testing.T) {
	for kind, answers := range map[string]map[string]liveAnswer{"registry": liveRegistryAnswers, "API": liveAPIAnswers} {
		for name, tc := range answers {
			t.Run(kind+"/"+name, func(t *testing.T) {
				e, _ := newEmulator(t)
				if tc.arrange != nil {
					tc.arrange(e)
				}
				tc.check(t, e)
			})
		}
	}
}

func (tc liveAnswer) check(t *testing.T, e *Emulator) {
	t.Helper()
	method := tc.method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(t.Context(), method, e.URL()+tc.path, strings.NewReader(tc.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = tc.host
	if tc.auth != "" {
		r.Header.Set("Authorization", strings.ReplaceAll(tc.auth, "TOKEN", e.Token(node)))
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != tc.wantStatus {
		t.Errorf("status %d, want %d (%s); the body is %s", response.StatusCode, tc.wantStatus, tc.source, body)
	}
	if got := response.Header.Get("Www-Authenticate"); got != tc.wantChallenge {
		t.Errorf("challenge (%s)\ngot  %s\nwant %s", tc.source, got, tc.wantChallenge)
	}
	if got := response.Header.Get("Allow"); got != tc.wantAllow {
		t.Errorf("Allow is %q, want %q (%s)", got, tc.wantAllow, tc.source)
	}
	if tc.want != "" {
		wantJSON(t, tc.source, tc.want, string(body))
	}
}

// wantJSON compares two bodies, regardless of white space and the order of keys.
func wantJSON(t *testing.T, source, want, got string) {
	t.Helper()
	var wanted, found map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatalf("%v in %s", err, want)
	}
	if err := json.Unmarshal([]byte(got), &found); err != nil {
		t.Errorf("%v in %s, want %s (%s)", err, got, want, source)
		return
	}
	if etag, _ := found["etag"].(string); wanted["etag"] == etagOfAny && etag != "" {
		found["etag"] = etagOfAny
	}
	if diff := cmp.Diff(wanted, found); diff != "" {
		t.Errorf("body (%s) (-want +got):\n%s", source, diff)
	}
}

// TestEnumsAsNumbers checks that the API sends numbers to the Go client, and names to other
// clients.
func TestEnumsAsNumbers(t *testing.T) {
	e, _ := newEmulator(t)
	for mode, want := range map[string]float64{
		"STANDARD_REPOSITORY": 1, "VIRTUAL_REPOSITORY": 2, "REMOTE_REPOSITORY": 3, "AOSS_REPOSITORY": 4, "ASSURED_OSS_REPOSITORY": 5,
		"CONNECTOR_REPOSITORY": unlistedEnum,
	} {
		e.AddRepository(Repository{Project: "acme", Location: "us", Name: "r", Mode: mode})
		for query, want := range map[string][2]any{
			asNumbers: {want, 1.0}, "?alt=json;enum-encoding=int": {want, 1.0}, "?$alt=json%3Benum-encoding=int": {want, 1.0},
			"": {mode, "DOCKER"}, "?%24alt=json": {mode, "DOCKER"},
		} {
			var got struct {
				Format, Mode any
				Repositories []struct{ Format, Mode any }
			}
			for path, of := range map[string]func() [2]any{
				"/r": func() [2]any { return [2]any{got.Mode, got.Format} },
				"":   func() [2]any { return [2]any{got.Repositories[0].Mode, got.Repositories[0].Format} },
			} {
				answer := get(t, e.URL()+"/v1/projects/acme/locations/us/repositories"+path+query, "", "")
				if err := json.Unmarshal([]byte(answer.body), &got); err != nil {
					t.Fatal(err)
				}
				if of() != want {
					t.Errorf("%s%s: mode and format are %v, want %v (%s)", path, query, of(), want, seenOfEnums)
				}
			}
		}
	}
}

// TestTokensOfTheRegistry checks that tokens are valid for twelve hours, including
// anonymous ones.
func TestTokensOfTheRegistry(t *testing.T) {
	e, _ := newEmulator(t)
	for _, query := range []string{"", "?service=" + registryDomain, "?service=" + registryDomain + "&scope=registry:catalog:*"} {
		answer := get(t, e.URL()+"/v2/token"+query, registryDomain, "")
		var got struct {
			Token     string
			ExpiresIn int `json:"expires_in"`
		}
		if err := json.Unmarshal([]byte(answer.body), &got); err != nil || answer.status != http.StatusOK || got.Token == "" || got.ExpiresIn != 43200 {
			t.Errorf("%q: %d %s, want 200 with a token for 43200 s (%s)", query, answer.status, answer.body, seenByCurl)
			continue
		}
		if ping := get(t, e.URL()+"/v2/", registryDomain, "Bearer "+got.Token); ping.status != http.StatusOK {
			t.Errorf("%q: the ping with the token answers %d %s, want 200 (%s)", query, ping.status, ping.body, seenByCurl)
		}
	}
}

// TestLocations checks that every project has all locations, and that each accepts
// repositories.
func TestLocations(t *testing.T) {
	e, _ := newEmulator(t)
	e.AddProject("empty", 418)
	var got struct {
		Locations []struct{ Name, LocationID string }
	}
	answer := get(t, e.URL()+"/v1/projects/empty/locations", "", "")
	if err := json.Unmarshal([]byte(answer.body), &got); err != nil {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	var listed []string
	for _, location := range got.Locations {
		listed = append(listed, location.LocationID)
		if location.Name != "projects/empty/locations/"+location.LocationID {
			t.Errorf("location %s is named %s", location.LocationID, location.Name)
		}
		read := get(t, e.URL()+"/v1/projects/empty/locations/"+location.LocationID+"/repositories/none", "", "")
		if read.status != http.StatusNotFound {
			t.Errorf("a repository in %s: %d %s, want 404", location.LocationID, read.status, read.body)
		}
	}
	for _, region := range []string{"us", "europe", "asia", "us-central1", "europe-west12", "me-central2", "africa-south1", "southamerica-west1"} {
		if !slices.Contains(listed, region) {
			t.Errorf("%s is not listed: %v", region, listed)
		}
	}
	if diff := cmp.Diff(Locations(), listed); diff != "" || !slices.IsSorted(listed) {
		t.Errorf("locations (-want +got):\n%s", diff)
	}
}
