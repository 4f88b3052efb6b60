// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	artifactregistry "cloud.google.com/go/artifactregistry/apiv1"
	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/api/option"
	clocktesting "k8s.io/utils/clock/testing"
)

const (
	services = "projects/acme/locations/us-central1/repositories/services"
	appImage = "us-central1-docker.pkg.dev/acme/services/app:1.0"
	node     = "nodes@acme.iam.gserviceaccount.com"
	reader   = "roles/artifactregistry.reader"
)

// newEmulator has project acme with repository services, image app:1.0 in it,
// the node's account, and a clock that only the test moves.
func newEmulator(t *testing.T) (*Emulator, *clocktesting.FakePassiveClock) {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	e, err := Start(WithClock(clock))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	e.AddProject("acme", 417)
	e.AddRepository(Repository{Project: "acme", Location: "us-central1", Name: "services"})
	e.AddServiceAccount(node)
	if err := e.PushImage(appImage); err != nil {
		t.Fatal(err)
	}
	return e, clock
}

// newClient is Google's own client, without credentials unless options say otherwise.
func newClient(t *testing.T, e *Emulator, options ...option.ClientOption) *artifactregistry.Client {
	t.Helper()
	if len(options) == 0 {
		options = []option.ClientOption{option.WithoutAuthentication()}
	}
	client, err := artifactregistry.NewRESTClient(t.Context(), append(options, option.WithEndpoint(e.URL()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// policyOf is a policy with one binding.
func policyOf(role string, members ...string) *iampb.Policy {
	return &iampb.Policy{Bindings: []*iampb.Binding{{Role: role, Members: members}}}
}

// answer is what a plain HTTP client sees.
type answer struct {
	status int
	header http.Header
	body   string
}

// get sends one GET; host is the Host header, auth the Authorization header.
func get(t *testing.T, target, host, auth string) answer {
	t.Helper()
	return send(t, http.MethodGet, target, host, auth)
}

func send(t *testing.T, method, target, host, auth string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	if auth != "" {
		r.Header.Set("Authorization", auth)
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
	return answer{response.StatusCode, response.Header, string(body)}
}

// pullAs goes the way of a container runtime, by hand: token, then manifest.
// It returns the last answer, which is the token's if that was refused.
func pullAs(t *testing.T, e *Emulator, image, accessToken string) answer {
	t.Helper()
	host, rest, _ := strings.Cut(image, "/")
	at := strings.LastIndex(rest, ":")
	path, tag := rest[:at], rest[at+1:]
	query := url.Values{"service": {host}, "scope": {"repository:" + path + ":pull"}}
	basic := ""
	if accessToken != "" {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth("oauth2accesstoken", accessToken)
		basic = r.Header.Get("Authorization")
	}
	token := get(t, e.URL()+"/v2/token?"+query.Encode(), "", basic)
	if token.status != http.StatusOK {
		return token
	}
	var parsed struct{ Token string }
	if err := json.Unmarshal([]byte(token.body), &parsed); err != nil {
		t.Fatal(err)
	}
	return get(t, e.URL()+"/v2/"+path+"/manifests/"+tag+"?ns="+host, "", "Bearer "+parsed.Token)
}

func TestCloseEndsWaitingRequests(t *testing.T) {
	e, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	e.InjectFault(Fault{Delay: time.Hour})
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, e.URL()+"/v1/"+services, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = response.Body.Close()
		}
		ended <- err
	}()
	for len(e.Requests()) == 0 {
		select {
		case err := <-ended:
			t.Fatalf("the request ended before Close: %v", err)
		default:
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the delayed request was answered; want a closed connection")
	}
	if err := e.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := e.StartMetadata(Instance{}); err == nil {
		t.Error("a closed emulator started a metadata server")
	}
}
