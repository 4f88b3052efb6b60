// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// wire is a server that says what it is told to say, also what Google never
// does, and keeps what it was sent.
type wire struct {
	mu      sync.Mutex
	policy  string   // What a read answers.
	answers []string // What the writes answer, in order; empty is the policy as sent.
	sent    []string
	queries []string
	headers []http.Header
}

// ServeHTTP implements http.Handler.
func (w *wire) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.headers = append(w.headers, r.Header.Clone())
	if strings.HasSuffix(r.URL.Path, ":getIamPolicy") {
		w.queries = append(w.queries, r.URL.Query().Get("options.requestedPolicyVersion"))
		_, _ = io.WriteString(out, w.policy)
		return
	}
	var request struct {
		Policy json.RawMessage `json:"policy"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	w.sent = append(w.sent, string(request.Policy))
	answer := string(request.Policy)
	if len(w.answers) > 0 {
		answer, w.answers = w.answers[0], w.answers[1:]
	}
	w.policy = strings.Replace(string(request.Policy), `"AAAA"`, `"BBBB"`, 1)
	_, _ = io.WriteString(out, answer)
}

func (w *wire) start(t *testing.T) *Client {
	t.Helper()
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	return newClient(t, Options{Endpoint: server.URL, UserAgent: "pull-access-operator/test", Clock: newHurriedClock()})
}

// policyWith holds all that an edit must send back as it came.
const policyWith = `{"version":3,"etag":"AAAA","bindings":[
	{"role":"roles/artifactregistry.reader","members":["user:ada@example.com","deleted:serviceAccount:old@acme.iam.gserviceaccount.com?uid=7"]},
	{"role":"roles/artifactregistry.reader","members":["group:z@example.com","group:a@example.com"],
	 "condition":{"title":"until","description":"d","expression":"request.time < timestamp(\"2030-01-01T00:00:00Z\")","location":"l"}},
	{"role":"organizations/7/roles/own","members":["principal://iam.googleapis.com/projects/1/x/subject/Y","allUsers"]}]}`

func TestWritesBackWhatItDoesNotEdit(t *testing.T) {
	w := &wire{policy: policyWith}
	prepared, err := w.start(t).Prepare(t.Context(), services, add)
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	if _, err := prepared.Commit(t.Context(), "why"); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	want := strings.Replace(policyWith, `?uid=7"`, `?uid=7","`+nodesMember+`"`, 1)
	if diff := cmp.Diff([]any{decode(t, want)}, []any{decode(t, w.sent[0])}); diff != "" || len(w.sent) != 1 {
		t.Errorf("%d writes; (-want +sent)\n%s", len(w.sent), diff)
	}
	if diff := cmp.Diff([]string{"3"}, w.queries); diff != "" {
		t.Errorf("conditions are only seen in version 3 (-want +got)\n%s", diff)
	}
	for _, header := range w.headers {
		if header.Get("Authorization") != "" {
			t.Error("an endpoint of the user's own must get no credentials")
		}
		if agent := header.Get("User-Agent"); agent != "pull-access-operator/test" {
			t.Errorf("user agent is %q", agent)
		}
	}
	if got := w.headers[1].Get(reasonHeader); got != "why" || w.headers[0].Get(reasonHeader) != "" {
		t.Errorf("reason is %q, want it on the write alone", got)
	}
}

func decode(t *testing.T, s string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return v
}

func TestSendsNothingWithoutAnEtag(t *testing.T) {
	w := &wire{policy: `{"bindings":[]}`}
	_, err := w.start(t).Prepare(t.Context(), services, add)
	if !errors.Is(err, iampolicy.ErrGuard) || len(w.sent) != 0 {
		t.Errorf("got %v and %d writes, want %v: a write without etag overwrites others", err, len(w.sent), iampolicy.ErrGuard)
	}
}

// TestAnAnswerWithOtherReadersIsUncertain checks that a write is done only if the answer
// says so.
func TestAnAnswerWithOtherReadersIsUncertain(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":      `{}`,
		"no JSON":      `<html>`,
		"others":       `{"etag":"BBBB","bindings":[{"role":"roles/artifactregistry.reader","members":["user:eve@example.com"]}]}`,
		"one too many": `{"etag":"BBBB","bindings":[{"role":"roles/artifactregistry.reader","members":["` + nodesMember + `","user:eve@example.com"]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{policy: `{"etag":"AAAA"}`, answers: []string{answer}}
			prepared, err := w.start(t).Prepare(t.Context(), services, add)
			if err != nil {
				t.Fatalf("Prepare: %v", err)
			}
			if _, err := prepared.Commit(t.Context(), ""); !errors.Is(err, iampolicy.ErrUncertain) || len(w.sent) != 1 {
				t.Errorf("got %v after %d writes, want %v after 1", err, len(w.sent), iampolicy.ErrUncertain)
			}
		})
	}
}

// TestNodeAccountOfNoInstance has Compute Engine answer with something else than the
// instance: that must not read as an instance without an account.
func TestNodeAccountOfNoInstance(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing": ``, "empty": `{}`, "no JSON": `<html>`, "cut short": `{"name":"n1"`, "another": `{"name":"n2"}`,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(out, answer) }))
			t.Cleanup(server.Close)
			client := newClient(t, Options{Endpoint: server.URL, Clock: newHurriedClock()})
			puller, _ := client.NodeAccount(t.Context(), diagnosis.Node{ProviderID: "gce://acme/us-central1-a/n1"})
			if puller.State != diagnosis.Unknown || puller.Obstacle.Detail == "" {
				t.Errorf("got %+v, want an unknown account and why", puller)
			}
		})
	}
}
