// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// specFields returns the names of the fields of spec in the CRD, sorted.
func specFields(t *testing.T, plural string) []string {
	t.Helper()
	data, err := os.ReadFile("../config/crd/bases/pullaccess.dev_" + plural + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &crd); err != nil {
		t.Fatal(err)
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	return slices.Sorted(maps.Keys(spec.Properties))
}

// TestSpecFields lists the API: a field that is added, renamed or removed must be here too.
func TestSpecFields(t *testing.T) {
	for plural, want := range map[string][]string{
		"pullaccesspolicies": {
			"approval", "brakes", "computeDefaultServiceAccount", "grant", "limits", "mode", "namespaceSelector", "nodeServiceAccounts",
			"pause", "podSelector", "repositories", "restart", "virtualRepositories",
		},
		"pullaccessgrants": {"evidence", "member", "policy", "repository", "unknowns", "workload"},
	} {
		if diff := cmp.Diff(want, specFields(t, plural)); diff != "" {
			t.Errorf("fields of spec of %s (-want +got):\n%s", plural, diff)
		}
	}
}

// TestReadmeShowsEveryField compares the fields of spec of the README's policy with the CRD.
func TestReadmeShowsEveryField(t *testing.T) {
	// Commands set pause; the API server denies the former names of renamed fields.
	elsewhere := []string{"brakes", "pause"}
	want := slices.DeleteFunc(specFields(t, "pullaccesspolicies"), func(name string) bool { return slices.Contains(elsewhere, name) })
	var shown struct {
		Spec map[string]any `json:"spec"`
	}
	for _, block := range fence.FindAllStringSubmatch(pages(t)[readme], -1) {
		if block[1] == "yaml" && strings.Contains(block[2], "kind: PullAccessPolicy") {
			if err := yaml.Unmarshal([]byte(block[2]), &shown); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(shown.Spec))); diff != "" {
		t.Errorf("fields of the README's policy (-want +got):\n%s", diff)
	}
}

// TestLimitsPage compares the table of limits with the defaults.
func TestLimitsPage(t *testing.T) {
	duration := func(s fmt.Stringer) string { return strings.TrimSuffix(s.String(), "0s") }
	want := map[string]string{
		"maxGrantsPerHour":   fmt.Sprint(v1alpha1.DefaultMaxGrantsPerHour),
		"maxRestartsPerHour": fmt.Sprint(v1alpha1.DefaultMaxRestartsPerHour),
		"restartCooldown":    duration(v1alpha1.DefaultRestartCooldown),
		"circuitBreaker": fmt.Sprintf("%d repositories in %s",
			v1alpha1.DefaultCircuitBreakerRepositories, duration(v1alpha1.DefaultCircuitBreakerWindow)),
	}
	_, section, _ := strings.Cut(pages(t)["grants.md"], "\n## Limits\n")
	section, _, _ = strings.Cut(section, "\n## ")
	got := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]+) \\|").FindAllStringSubmatch(section, -1) {
		got[row[1]] = row[2]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table of limits (-want +got):\n%s", diff)
	}
}
