// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terraform_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

const (
	member = "serviceAccount:pull-access-operator@acme-ops-204.iam.gserviceaccount.com"
	// tagged is the expression that the example's tag comes to.
	tagged = "resource.matchTag('123456789012/pull-access', 'allowed')"
	write  = "artifactregistry.repositories.setIamPolicy"
)

// example is what the example sets.
func example(t *testing.T) map[string]hcl.Expression {
	t.Helper()
	file, diags := hclparse.NewParser().ParseHCLFile(filepath.Join(folder, "example.tfvars"))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	attributes, diags := file.Body.JustAttributes()
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	values := map[string]hcl.Expression{}
	for name, attribute := range attributes {
		values[name] = attribute.Expr
	}
	return values
}

// with is the example with one variable set otherwise.
func with(t *testing.T, name, value string) map[string]hcl.Expression {
	t.Helper()
	expression, diags := hclsyntax.ParseExpression([]byte(value), name, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	values := example(t)
	values[name] = expression
	return values
}

func mustPlan(t *testing.T, values map[string]hcl.Expression) []instance {
	t.Helper()
	instances, err := load(t).plan(values)
	if err != nil {
		t.Fatal(err)
	}
	return instances
}

// TestFormatted: the files are as terraform fmt leaves them.
func TestFormatted(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder, "*.tf*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(hclwrite.Format(data)), string(data)); diff != "" {
			t.Errorf("%s (-formatted +as it is):\n%s", name, diff)
		}
	}
}

// binding is one role of one member on one thing.
type binding struct{ On, Role, Member, Condition string }

// bindings are all that the instances bind, and permissions what is in their roles.
func bindings(t *testing.T, instances []instance) (all []binding, permissions map[string][]string) {
	t.Helper()
	permissions = map[string][]string{}
	for _, i := range instances {
		b := binding{Role: i.text("role"), Member: i.text("member"), Condition: i.text("condition.expression")}
		switch i.kind {
		case "google_project_iam_custom_role":
			for _, permission := range i.values["permissions"].AsValueSlice() {
				permissions[i.text("name")] = append(permissions[i.text("name")], permission.AsString())
			}
			slices.Sort(permissions[i.text("name")])
			continue
		case "google_artifact_registry_repository_iam_member":
			b.On = "projects/" + i.text("project") + "/locations/" + i.text("location") + "/repositories/" + i.text("repository")
		case "google_project_iam_member":
			b.On = "projects/" + i.text("project")
		case "google_service_account_iam_member":
			b.On = i.text("service_account_id")
		case "google_service_account", "google_iam_deny_policy":
			continue
		default:
			t.Errorf("%s: this test does not know what a %s binds", i.address, i.kind)
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b binding) int { return strings.Compare(a.On+a.Role, b.On+b.Role) })
	return all, permissions
}

// TestExample: the example comes to these bindings and roles, and no others.
func TestExample(t *testing.T) {
	got, permissions := bindings(t, mustPlan(t, example(t)))
	want := []binding{
		{On: "projects/acme-images-306/locations/us-central1/repositories/services", Role: "projects/acme-images-306/roles/pullAccessOperator", Member: member},
		{
			On: "projects/acme-ops-204/serviceAccounts/pull-access-operator@acme-ops-204.iam.gserviceaccount.com", Role: "roles/iam.workloadIdentityUser",
			Member: "serviceAccount:acme-prod-417.svc.id.goog[pull-access-system/pull-access-operator]",
		},
		{On: "projects/acme-prod-417", Role: "projects/acme-prod-417/roles/pullAccessNodes", Member: member},
		{On: "projects/acme-teams-511", Role: "projects/acme-teams-511/roles/pullAccessOperator", Member: member, Condition: tagged},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
	opens := []string{
		"artifactregistry.packages.list", "artifactregistry.repositories.get", "artifactregistry.repositories.getIamPolicy", write,
		"artifactregistry.tags.get", "artifactregistry.versions.get", "artifactregistry.versions.list",
	}
	roles := map[string][]string{
		"projects/acme-images-306/roles/pullAccessOperator": opens, "projects/acme-teams-511/roles/pullAccessOperator": opens,
		"projects/acme-prod-417/roles/pullAccessNodes": {"compute.instances.get"},
	}
	if diff := cmp.Diff(roles, permissions); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
}

// TestNothingWide: whatever optional reads are asked for, the right to write is bound to
// a repository or under the tag, and no ready-made role gives the operator anything.
func TestNothingWide(t *testing.T) {
	for _, option := range []string{"read_images", "read_project_policies", "read_node_pools"} {
		for _, value := range []string{"true", "false"} {
			t.Run(option+" "+value, func(t *testing.T) {
				all, permissions := bindings(t, mustPlan(t, with(t, option, value)))
				bound := 0
				for _, b := range all {
					if b.Member != member {
						continue
					}
					holds, custom := permissions[b.Role]
					if !custom {
						t.Errorf("%s gives the operator %s, which is not one of its own roles", b.On, b.Role)
					}
					if slices.Contains(holds, write) {
						bound++
						if !strings.Contains(b.On, "/repositories/") && b.Condition != tagged {
							t.Errorf("%s may be written as a whole: %+v", b.On, b)
						}
					}
				}
				if bound != 2 {
					t.Errorf("the right to write is bound %d times, want to the repository and to the tagged project", bound)
				}
			})
		}
	}
}

// TestOptionalReads: each option adds what it says, where it says.
func TestOptionalReads(t *testing.T) {
	for option, tc := range map[string]struct {
		role  string
		added []string
	}{
		"read_project_policies": {"projects/acme-images-306/roles/pullAccessProject", []string{"iam.roles.get", "resourcemanager.projects.getIamPolicy"}},
		"read_node_pools":       {"projects/acme-prod-417/roles/pullAccessNodes", []string{"compute.instances.get", "container.clusters.get", "resourcemanager.projects.get"}},
	} {
		t.Run(option, func(t *testing.T) {
			all, permissions := bindings(t, mustPlan(t, with(t, option, "true")))
			if diff := cmp.Diff(tc.added, permissions[tc.role]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.role, diff)
			}
			if !slices.ContainsFunc(all, func(b binding) bool { return b.Role == tc.role && b.Member == member }) {
				t.Errorf("%s is bound nowhere", tc.role)
			}
		})
	}
}

// TestDenies: where the deny policy is attached, whom it denies what, and under which condition.
func TestDenies(t *testing.T) {
	var parents []string
	for _, i := range mustPlan(t, example(t)) {
		if i.kind != "google_iam_deny_policy" {
			continue
		}
		parents = append(parents, i.text("parent"))
		if got := i.text("rules.deny_rule.denial_condition.expression"); got != "!"+tagged {
			t.Errorf("%s denies under %q", i.address, got)
		}
		for name, want := range map[string]string{
			"denied_permissions": "artifactregistry.googleapis.com/repositories.setIamPolicy",
			"denied_principals":  "principal://iam.googleapis.com/projects/-/serviceAccounts/" + strings.TrimPrefix(member, "serviceAccount:"),
		} {
			if got := i.values["rules.deny_rule."+name].AsValueSlice(); len(got) != 1 || got[0].AsString() != want {
				t.Errorf("%s: %s are %v, want %s alone", i.address, name, got, want)
			}
		}
	}
	want := []string{
		"cloudresourcemanager.googleapis.com%2Fprojects%2Facme-images-306",
		"cloudresourcemanager.googleapis.com%2Fprojects%2Facme-teams-511",
	}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(parents))); diff != "" {
		t.Errorf("attached to (-want +got):\n%s", diff)
	}
}

// TestRefuses: what is set wrongly is refused before anything is asked of Google.
func TestRefuses(t *testing.T) {
	repository := func(project, location, name string) string {
		return `[{ project = "` + project + `", location = "` + location + `", name = "` + name + `" }]`
	}
	tests := map[string]struct{ variable, value, want string }{
		"a wildcard for a project":    {"repositories", repository("*", "us", "services"), "named in full"},
		"a wildcard for a location":   {"repositories", repository("acme-images-306", "*", "services"), "named in full"},
		"a wildcard for a repository": {"repositories", repository("acme-images-306", "us", "team-*"), "named in full"},
		"a path for a repository":     {"repositories", repository("acme-images-306", "us", "a/../b"), "named in full"},
		"a number for a project":      {"node_projects", `["417"]`, "node_projects must be"},
		"no project":                  {"operator_project", `""`, "operator_project must be"},
		"another pool":                {"cluster_project", `"acme.svc.id.goog[a/b]"`, "cluster_project must be"},
		"every project":               {"tagged_projects", `["*"]`, "tagged_projects must be"},
		"a tag that ends its quotes":  {"tag", `{ key = "1/a", value = "b') || resource.name.startsWith('" }`, "tag must have"},
		"a key that ends its quotes":  {"tag", `{ key = "1/a', '') || !(''", value = "b" }`, "tag must have"},
		"a key of nobody":             {"tag", `{ key = "pull-access", value = "allowed" }`, "tag must have"},
		"no place for the denial":     {"deny_untagged_in", `["acme-images-306"]`, "deny_untagged_in must be"},
		"an unknown variable":         {"admin", "true", "no variable admin"},
		"another type":                {"read_images", `"perhaps"`, "variable read_images"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			instances, err := load(t).plan(with(t, tc.variable, tc.value))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%d resources and %v, want it to be refused with %q", len(instances), err, tc.want)
			}
		})
	}
}

// without is the example with some variables left unset.
func without(t *testing.T, names ...string) map[string]hcl.Expression {
	t.Helper()
	values := example(t)
	maps.DeleteFunc(values, func(name string, _ hcl.Expression) bool { return slices.Contains(names, name) })
	return values
}

// TestTagIsNeeded: without a tag the conditions would be empty, and what they bound wide open.
func TestTagIsNeeded(t *testing.T) {
	for other, want := range map[string]string{"tagged_projects": "deny_untagged_in needs a tag", "deny_untagged_in": "tagged_projects need a tag"} {
		if _, err := load(t).plan(without(t, "tag", other)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s and a tag: %v, want %q", other, err, want)
		}
	}
}

// TestTagIsNotNeeded: who binds repositories one by one, and denies nothing, needs none.
func TestTagIsNotNeeded(t *testing.T) {
	all, _ := bindings(t, mustPlan(t, without(t, "tag", "tagged_projects", "deny_untagged_in")))
	if len(all) != 3 {
		t.Errorf("%d bindings, want those of the repository, the nodes and the identity: %+v", len(all), all)
	}
}
