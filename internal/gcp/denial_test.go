// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// refusing returns a client of a server that sends the same response to each call.
func refusing(t *testing.T, status int, body string) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "application/json")
		out.WriteHeader(status)
		_, _ = io.WriteString(out, body)
	}))
	t.Cleanup(server.Close)
	return newClient(t, Options{Endpoint: server.URL, Clock: newHurriedClock()})
}

// denied is a 403 in Google's format. The metadata are pairs. Without a reason, the error has no details.
func denied(message, reason string, metadata ...string) string {
	e := map[string]any{"code": 403, "status": "PERMISSION_DENIED", "message": message}
	if reason != "" {
		pairs := map[string]string{}
		for n := 0; n < len(metadata); n += 2 {
			pairs[metadata[n]] = metadata[n+1]
		}
		e["details"] = []any{map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": pairs}}
	}
	body, _ := json.Marshal(map[string]any{"error": e}) // Strings and maps of them.
	return string(body)
}

const (
	quotaText = "Caller does not have required permission to use project acme-home. Grant the caller the roles/serviceusage.serviceUsageConsumer role, " +
		"or a custom role with the serviceusage.services.use permission, by visiting https://console.developers.google.com/iam-admin/iam/project?project=acme-home and then retry."
	apiText = "Artifact Registry API has not been used in project 9 before or it is disabled. Enable it by visiting " +
		"https://console.developers.google.com/apis/api/artifactregistry.googleapis.com/overview?project=9 then retry."
	billingText = "This API method requires billing to be enabled. Please enable billing on project #9 by visiting https://console.developers.google.com/billing/enable?project=9 then retry."
	getDenied   = "Permission 'artifactregistry.repositories.get' denied on resource '//artifactregistry.googleapis.com/projects/acme/locations/us-central1/repositories/services' (or it may not exist)."
)

// TestDenials checks that a 403 is a missing permission only if Google reports one.
func TestDenials(t *testing.T) {
	const (
		noQuota     = "the asking account may not use quota project acme-home: grant it roles/serviceusage.serviceUsageConsumer there, or set another quota project"
		noConsumer  = "Google does not accept project acme: it does not exist, is being deleted, or its ID is misspelt"
		noConsumer2 = "Google does not accept project acme-home, through which the asking account calls: it does not exist, is being deleted, or its ID is misspelt"
		refuses     = "Google refuses the asking account: "
	)
	lacking := func(message string) diagnosis.Obstacle {
		return diagnosis.Obstacle{Kind: diagnosis.Forbidden, Permission: permissionGetRepository, Detail: refuses + strings.TrimSuffix(message, ".")}
	}
	apiOff := diagnosis.Obstacle{
		Kind: diagnosis.Unreadable, Consumer: "9", Service: "artifactregistry.googleapis.com",
		Detail: "the API artifactregistry.googleapis.com is not enabled for projects/9, through which the asking account calls",
	}
	outside := func(identifier string) diagnosis.Obstacle {
		return diagnosis.Obstacle{Kind: diagnosis.Perimeter, Identifier: identifier, Detail: "VPC Service Controls keep the asking account out"}
	}
	for name, tc := range map[string]struct {
		body string
		want diagnosis.Obstacle
		why  string
	}{
		"permission, by its details": {body: denied("no", "IAM_PERMISSION_DENIED", "permission", permissionGetRepository), want: lacking("no")},
		"permission, by its text":    {body: denied(getDenied, ""), want: lacking(getDenied)},
		"permission, unnamed":        {body: denied("The caller does not have permission", ""), want: lacking("The caller does not have permission")},
		"permission of another call": {
			body: denied("Required \"container.clusters.get\" permission(s) for \"projects/acme\".", ""),
			want: diagnosis.Obstacle{Kind: diagnosis.Forbidden, Permission: permissionGetCluster, Detail: refuses + `Required "container.clusters.get" permission(s) for "projects/acme"`},
		},
		"permission that is none": {body: denied("no", "IAM_PERMISSION_DENIED", "permission", "$(reboot)"), want: lacking("no")},
		"quota project, by its details": {
			body: denied("The caller does not have permission", "USER_PROJECT_DENIED", "consumer", "projects/acme-home", "service", "artifactregistry.googleapis.com"),
			want: diagnosis.Obstacle{Kind: diagnosis.QuotaProjectDenied, Consumer: "acme-home", Detail: noQuota},
		},
		"quota project, by its text": {body: denied(quotaText, ""), want: diagnosis.Obstacle{Kind: diagnosis.QuotaProjectDenied, Consumer: "acme-home", Detail: noQuota}},
		"consumer, by its details":   {body: denied("no", "CONSUMER_INVALID", "consumer", "projects/acme"), want: diagnosis.Obstacle{Kind: diagnosis.ConsumerInvalid, Consumer: "acme", Detail: noConsumer}},
		"consumer, by its text":      {body: denied("Permission denied on resource project acme.", ""), want: diagnosis.Obstacle{Kind: diagnosis.ConsumerInvalid, Consumer: "acme", Detail: noConsumer}},
		"consumer, another":          {body: denied("Permission denied on resource project acme-home.", ""), want: diagnosis.Obstacle{Kind: diagnosis.ConsumerInvalid, Consumer: "acme-home", Detail: noConsumer2}},
		"consumer, unnamed": {
			body: denied("no", "CONSUMER_INVALID"),
			want: diagnosis.Obstacle{Kind: diagnosis.ConsumerInvalid, Detail: "Google does not accept the project of the call: it does not exist, is being deleted, or its ID is misspelt"},
		},
		"API, by its details": {body: denied("no", "SERVICE_DISABLED", "consumer", "projects/9", "service", "artifactregistry.googleapis.com"), want: apiOff},
		"API, by its text":    {body: denied(apiText, ""), want: apiOff},
		"API, by a short text": {
			body: denied("Artifact Registry API has not been used in project 9 before or it is disabled.", ""),
			want: diagnosis.Obstacle{Kind: diagnosis.Unreadable, Consumer: "9", Detail: "a needed API is not enabled for projects/9, through which the asking account calls"},
		},
		"billing, by its text": {
			body: denied(billingText, ""),
			want: diagnosis.Obstacle{Kind: diagnosis.Unreadable, Consumer: "9", Detail: "billing is off for projects/9, through which the asking account calls"},
		},
		"scopes": {
			body: denied("Request had insufficient authentication scopes.", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
			want: diagnosis.Obstacle{Kind: diagnosis.Forbidden, Detail: refuses + "Request had insufficient authentication scopes"},
		},
		"a reason that is not known": {
			body: denied("The caller does not have permission", "SOMETHING_NEW"),
			want: diagnosis.Obstacle{Kind: diagnosis.Forbidden, Detail: refuses + "The caller does not have permission"},
			why:  "the details say that it is something else",
		},
		"a text that is not known": {body: denied("Not today", ""), want: diagnosis.Obstacle{Kind: diagnosis.Forbidden, Detail: refuses + "Not today"}},
		"a proxy's page": {
			body: "<html>The caller does not have permission</html>",
			want: diagnosis.Obstacle{Kind: diagnosis.Forbidden, Detail: "Google refuses the asking account with HTTP 403 and gives no reason"},
		},
		"perimeter, by its details": {body: denied("no", "SECURITY_POLICY_VIOLATED", "uid", "UA_Y-7"), want: outside("UA_Y-7")},
		"perimeter, by its text":    {body: denied("Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: UA_Y-7.", ""), want: outside("UA_Y-7")},
		"perimeter, by a violation": {
			body: `{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.PreconditionFailure",` +
				`"violations":[{"type":"VPC_SERVICE_CONTROLS","description":"UA_Y-7"}]}]}}`,
			want: outside("UA_Y-7"),
		},
		"perimeter, no identifier": {body: denied("no", "SECURITY_POLICY_VIOLATED", "uid", "'; reboot"), want: outside("")},
	} {
		t.Run(name, func(t *testing.T) {
			got := refusing(t, http.StatusForbidden, tc.body).Repository(t.Context(), services)
			if diff := cmp.Diff(diagnosis.Repository{Obstacle: tc.want}, got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tc.why, diff)
			}
		})
	}
}

// TestDenialsAreBounded checks that the diagnosis quotes Google in one sentence, cut at a
// word.
func TestDenialsAreBounded(t *testing.T) {
	long := strings.Repeat("not today ", 200)
	for name, message := range map[string]string{"words": long, "one word": strings.Repeat("x", 1<<16), "spaces": strings.Repeat(" ", 1<<16) + "x", "letters": strings.Repeat("ä ", 1<<16)} {
		detail := refusing(t, http.StatusForbidden, denied(message, "")).Repository(t.Context(), services).Obstacle.Detail
		if len(detail) > maxSentence || name != "spaces" && !strings.HasSuffix(detail, "…") {
			t.Errorf("%s: %d bytes: %q", name, len(detail), detail)
		}
		if name == "words" && !strings.HasSuffix(detail, " not…") && !strings.HasSuffix(detail, " today…") {
			t.Errorf("%q is not cut at a word", detail)
		}
	}
}

// TestLocationThatDoesNotExist checks that the diagnosis names the location, because Google
// does not.
func TestLocationThatDoesNotExist(t *testing.T) {
	nowhere := imageref.Repository{Project: "acme", Location: "us-cental1", Name: "services"}
	const vague = `{"error":{"code":400,"message":"Request contains an invalid argument.","status":"INVALID_ARGUMENT"}}`
	want := diagnosis.Obstacle{
		Kind:   diagnosis.InvalidLocation,
		Detail: "location us-cental1 most likely does not exist; Google refuses the request: Request contains an invalid argument",
	}
	client := refusing(t, http.StatusBadRequest, vague)
	_, listed := client.Repositories(t.Context(), nowhere.Project, nowhere.Location)
	for call, got := range map[string]diagnosis.Obstacle{
		"GetRepository":    client.Repository(t.Context(), nowhere).Obstacle,
		"GetIamPolicy":     client.Access(t.Context(), nowhere, nodesMember).Obstacle,
		"ListRepositories": listed,
	} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", call, diff)
		}
	}
	if _, err := client.Prepare(t.Context(), nowhere, add); err == nil || !strings.Contains(err.Error(), "location us-cental1 most likely") {
		t.Errorf("Prepare: got %v, want the location", err)
	}
	plain := refusing(t, http.StatusBadRequest, strings.Replace(vague, "Request contains an invalid argument.", "Invalid name.", 1))
	if got := plain.Repository(t.Context(), nowhere).Obstacle; got.Kind != diagnosis.Unreadable || strings.Contains(got.Detail, "location") {
		t.Errorf("got %+v: Google says what is wrong itself", got)
	}
}

// TestRepositoryAnswers checks responses with missing, unknown or contradictory fields.
func TestRepositoryAnswers(t *testing.T) {
	const name = `"name":"projects/acme/locations/us-central1/repositories/services"`
	known := func(mode, uri string) diagnosis.Repository {
		return diagnosis.Repository{State: diagnosis.Present, Format: "DOCKER", Mode: mode, RegistryURI: uri}
	}
	another := diagnosis.Repository{Obstacle: unreadable("Google's answer is about another repository")}
	for body, want := range map[string]diagnosis.Repository{
		`{` + name + `,"format":1,"mode":1}`:                                       known("STANDARD_REPOSITORY", ""),
		`{` + name + `,"format":1,"mode":4}`:                                       known("AOSS_REPOSITORY", ""),
		`{` + name + `,"format":1,"mode":5}`:                                       known("ASSURED_OSS_REPOSITORY", ""),
		`{` + name + `,"format":1,"mode":6}`:                                       known("6", ""),
		`{` + name + `,"format":"DOCKER"}`:                                         known("MODE_UNSPECIFIED", ""),
		`{` + name + `,"format":1,"mode":1,"registryUri":"a/b"}`:                   known("STANDARD_REPOSITORY", "a/b"),
		`{` + name + `,"format":1,"mode":1,"registryUri":"\u0007"}`:                known("STANDARD_REPOSITORY", "an address that cannot be read"),
		`{` + strings.Replace(name, "acme", "417", 1) + `,"format":1,"mode":1}`:    known("STANDARD_REPOSITORY", ""),
		`{` + strings.Replace(name, "acme", "acme-2", 1) + `,"format":1,"mode":1}`: another,
		`{` + strings.Replace(name, "services", "s", 1) + `,"format":1,"mode":1}`:  another,
		`{"format":1,"mode":1}`:                                                    another,
	} {
		if diff := cmp.Diff(want, refusing(t, http.StatusOK, body).Repository(t.Context(), services)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", body, diff)
		}
	}
}
