// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// TestCommandsThatEnableAPIs runs the commands of docs/google-cloud.md that enable the
// APIs, and compares their projects with the table.
func TestCommandsThatEnableAPIs(t *testing.T) {
	page, err := os.ReadFile("../../docs/google-cloud.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n### APIs to enable\n")
	section, _, _ = strings.Cut(section, "\n### ")
	var want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z.]+)` \\| [a-z]+: `([a-z0-9-]+)` \\|").FindAllStringSubmatch(section, -1) {
		want = append(want, "projects/"+row[2]+"/services/"+row[1])
	}
	block := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindStringSubmatch(section)
	if len(want) == 0 || block == nil {
		t.Fatal("the page lists no API, or has no command: the test looks at nothing")
	}
	if _, err := exec.LookPath("gcloud"); err != nil {
		t.Skip("NOT TESTED: gcloud is not on the PATH, so the commands were not run")
	}
	e := site(t)
	e.AddProject("acme-ops-204", 204)
	shell := exec.CommandContext(t.Context(), "sh", "-ec", block[1])
	shell.Env = append(os.Environ(), gcpemulator.GcloudEnvironment(e.URL(), t.TempDir())...)
	if output, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	var enabled []string
	for _, request := range e.Requests() {
		if request.Method == "services.enable" {
			enabled = append(enabled, request.Resource)
		}
	}
	slices.Sort(want)
	slices.Sort(enabled)
	if !slices.Equal(want, enabled) {
		t.Errorf("the commands enable %v, and the table has %v", enabled, want)
	}
}
