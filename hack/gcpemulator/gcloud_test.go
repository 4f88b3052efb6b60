// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
)

const admin = "admin@acme.iam.gserviceaccount.com"

// gcloud runs the real command line against the emulator, and against nothing else.
type gcloud struct {
	program string
	env     []string
}

func newGcloud(t *testing.T, e *Emulator) gcloud {
	t.Helper()
	program, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("NOT TESTED: gcloud is not on the PATH, so the emulator was not checked against the real command line")
	}
	folder := t.TempDir()
	token := filepath.Join(folder, "token")
	if err := os.WriteFile(token, []byte(e.Token(admin)), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := append(os.Environ(), GcloudEnvironment(e.URL(), folder)...)
	return gcloud{program, append(environment,
		"CLOUDSDK_CORE_PROJECT=acme",
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=false",
		"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE="+token,
	)}
}

func (g gcloud) run(t *testing.T, arguments ...string) (stdout []byte, stderr string, err error) {
	t.Helper()
	var out, problems bytes.Buffer
	command := exec.CommandContext(t.Context(), g.program, arguments...)
	command.Env, command.Stdout, command.Stderr = g.env, &out, &problems
	err = command.Run()
	return out.Bytes(), problems.String(), err
}

// must fails the test unless gcloud succeeds, and returns what it printed.
func (g gcloud) must(t *testing.T, arguments ...string) []byte {
	t.Helper()
	out, problems, err := g.run(t, append(arguments, "--format=json")...)
	if err != nil {
		t.Fatalf("gcloud %s: %v\n%s", strings.Join(arguments, " "), err, problems)
	}
	return out
}

// read is must, and takes what was printed apart.
func (g gcloud) read(t *testing.T, into any, arguments ...string) {
	t.Helper()
	out := g.must(t, arguments...)
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("gcloud %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}

func TestGcloudRepositories(t *testing.T) {
	e, _ := newEmulator(t)
	g := newGcloud(t, e)
	e.SetProjectPolicy("acme", policyOf("roles/artifactregistry.admin", "serviceAccount:"+admin))
	on := func(arguments ...string) []string {
		return append([]string{"artifacts", "repositories"}, append(arguments, "--location=us-central1")...)
	}

	var described struct{ Name, Format, Mode, RegistryURI string }
	g.read(t, &described, on("describe", "services")...)
	if described.Name != services || described.Format != "DOCKER" || described.RegistryURI != "us-central1-docker.pkg.dev/acme/services" {
		t.Errorf("describe: %+v", described)
	}
	var listed []struct{ Name string }
	g.read(t, &listed, "artifacts", "repositories", "list")
	if len(listed) != 1 || listed[0].Name != services {
		t.Errorf("list: %+v", listed)
	}

	binding := []string{"services", "--member=serviceAccount:" + node, "--role=" + reader}
	g.must(t, on(append([]string{"add-iam-policy-binding"}, binding...)...)...)
	shown := &iampb.Policy{}
	if err := protojson.Unmarshal(g.must(t, on("get-iam-policy", "services")...), shown); err != nil {
		t.Fatal(err)
	}
	want := []string{"serviceAccount:" + node}
	if bindings := shown.GetBindings(); len(bindings) != 1 || cmp.Diff(want, bindings[0].GetMembers()) != "" || !bytes.Equal(shown.GetEtag(), e.Policy(services).GetEtag()) {
		t.Errorf("get-iam-policy: %v", shown)
	}

	e.InjectFault(Fault{Method: "SetIamPolicy", Times: 1, HTTPStatus: 409, Message: errConcurrent.message})
	remove := on(append([]string{"remove-iam-policy-binding"}, binding...)...)
	if _, problems, err := g.run(t, remove...); err == nil || !strings.Contains(problems, "ABORTED") {
		t.Errorf("a conflict: got %v, %s", err, problems)
	}
	g.must(t, remove...)
	if got := e.Policy(services).GetBindings(); len(got) != 0 {
		t.Errorf("after remove-iam-policy-binding: %v", got)
	}
	if _, problems, err := g.run(t, on("describe", "none")...); err == nil || !strings.Contains(problems, "NOT_FOUND") {
		t.Errorf("a missing repository: got %v, %s", err, problems)
	}
}
