// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"
	"testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

func TestCommands(t *testing.T) {
	const at = "services --project=acme-images-306 --location=us-central1"
	const add, remove = "gcloud artifacts repositories add-iam-policy-binding ", "gcloud artifacts repositories remove-iam-policy-binding "
	const reader = " --role=roles/artifactregistry.reader"
	conditional := iampolicy.Reader{Member: "allUsers", Role: iampolicy.Role, Conditional: true}
	own := iampolicy.Reader{Member: nodes, Role: "projects/acme-images-306/roles/pushes", More: true}
	for name, tc := range map[string]struct {
		facts Facts
		want  string
		why   string
	}{
		"public":              {facts(read(reads("allUsers")...), read()), remove + at + " --member=allUsers" + reader, "it is taken away"},
		"public project":      {facts(read(), read(reads("allUsers")...)), "gcloud projects remove-iam-policy-binding acme-images-306 --member=allUsers" + reader + " --condition=None", "gcloud asks for a condition otherwise"},
		"under a condition":   {facts(read(), read(conditional)), "gcloud projects get-iam-policy acme-images-306", "the condition would have to be repeated"},
		"deleted":             {facts(read(reads(deleted)...), read()), remove + at + " --member='" + deleted + "'" + reader, "a question mark is the shell's"},
		"broad first":         {facts(read(writes(nodes)), read()), add + at + " --member=" + nodes + reader, "pods go on pulling"},
		"broad then":          {facts(read(append(reads(nodes), writes(nodes))...), read()), remove + at + " --member=" + nodes + " --role=" + writer, "it is let in by itself"},
		"broad, own role":     {facts(read(append(reads(nodes), own)...), read()), remove + at + " --member=" + nodes + " --role=projects/acme-images-306/roles/pushes", "an own role has its project's name"},
		"project level first": {facts(read(), read(reads(nodes)...)), add + at + " --member=" + nodes + reader, "pods go on pulling"},
		"project level then":  {facts(read(reads(nodes)...), read(reads(nodes)...)), "gcloud projects remove-iam-policy-binding acme-images-306 --member=" + nodes + reader + " --condition=None", "it is let in by itself"},
		"shared":              {facts(read(reads(shared)...), read()), "", "no one command tells what uses it"},
		"unused":              {facts(read(reads(nodes)...), read(), grant(unused)), "kubectl pullaccess revoke services.gke-nodes.1", "it is the operator's to take back"},
		"removed":             {facts(read(), read(), grant()), "kubectl describe pullaccessgrant services.gke-nodes.1", "it tells who and what to do"},
	} {
		t.Run(name, func(t *testing.T) {
			found := Judge(tc.facts).Findings
			if len(found) != 1 || found[0].Command != tc.want {
				t.Errorf("%s: got %+v, want %q", tc.why, found, tc.want)
			}
		})
	}
}

// TestNothingForTheShell: whatever stands in a policy or a grant, no command holds
// what a shell obeys.
func TestNothingForTheShell(t *testing.T) {
	for _, hostile := range []string{"$(id)", "`id`", "a;id", "a b", "a'b", "a\nb", "--x", "*", "a|b", "a&b", "a>b", "~"} {
		member := "serviceAccount:" + hostile + "@acme-prod-417.iam.gserviceaccount.com"
		for name, f := range map[string]Facts{
			"deleted": facts(read(reads("deleted:"+member+"?uid=1")...), read()),
			"role":    facts(read(iampolicy.Reader{Member: "allUsers", Role: "roles/" + hostile}), read()),
			"grant":   facts(read(), read(), grant(func(g *v1alpha1.PullAccessGrant) { g.Name = hostile })),
		} {
			found := Judge(f).Findings
			if len(found) == 0 {
				t.Fatalf("%s %q leads to no finding: the test looks at nothing", name, hostile)
			}
			for _, of := range found {
				if strings.Contains(of.Command, hostile) && hostile != "--x" {
					t.Errorf("%s %q is pasted as %q", name, hostile, of.Command)
				}
			}
		}
		f := facts(read(), read())
		r := imageref.Repository{Project: project, Location: "us", Name: hostile}
		f.Repositories, f.ByRepository = []imageref.Repository{r}, map[imageref.Repository]Access{r: read(reads("allUsers")...)}
		if got := Judge(f).Findings[0].Command; got != "" {
			t.Errorf("repository %q is pasted as %q", hostile, got)
		}
	}
}
