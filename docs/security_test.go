// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const securityPage = "security.md"

// read gives what all files of a pattern hold, one after the other.
func read(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%d files are %s, %v", len(names), pattern, err)
	}
	var all strings.Builder
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

// manifest reads one object from config, and refuses fields that it does not have.
func manifest[T any](t *testing.T, name string) T {
	t.Helper()
	var object T
	if err := yaml.UnmarshalStrict([]byte(read(t, "../config/"+name)), &object); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return object
}

// numbered wants ids to be PREFIX01, PREFIX02 and so on.
func numbered(t *testing.T, prefix string, ids []string) {
	t.Helper()
	if len(ids) == 0 {
		t.Fatalf("there is no %s01: the test looks at nothing", prefix)
	}
	for i, id := range ids {
		if want := fmt.Sprintf("%s%02d", prefix, i+1); id != want {
			t.Errorf("%s stands where %s should", id, want)
		}
	}
}

// firsts are the first groups of all matches.
func firsts(pattern, text string) []string {
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// TestThreatModel: threats have controls, and controls threats; nothing is named that is not there.
func TestThreatModel(t *testing.T) {
	page := pages(t)[securityPage]
	assets, controls := firsts(`(?m)^\| (A\d\d) \|`, page), firsts(`(?m)^\| (C\d\d) \|`, page)
	numbered(t, "A", assets)
	numbered(t, "C", controls)
	threats, _, _ := strings.Cut(page, "\n## Controls\n")
	var ids []string
	used := map[string]bool{}
	for _, part := range strings.Split(threats, "\n### ")[1:] {
		id, _, _ := strings.Cut(part, " ")
		ids = append(ids, id)
		line := regexp.MustCompile(`(?m)^Assets: (.+?)\. Controls: (.+?)\.$`).FindStringSubmatch(part)
		if line == nil || !strings.Contains(part, "\nWhat remains: ") {
			t.Errorf("%s does not say which assets and controls it is about, and what remains", id)
			continue
		}
		for i, known := range [][]string{assets, controls} {
			for name := range strings.SplitSeq(line[i+1], ", ") {
				if used[name] = true; !slices.Contains(known, name) {
					t.Errorf("%s names %s, which is not there", id, name)
				}
			}
		}
	}
	numbered(t, "T", ids)
	for _, id := range slices.Concat(assets, controls) {
		if !used[id] {
			t.Errorf("no threat is about %s", id)
		}
	}
}

// TestControlsAreProven: each control names tests, and all of them are in the tree.
func TestControlsAreProven(t *testing.T) {
	rows := regexp.MustCompile(`(?m)^\| (C\d\d) \|[^|]*\|([^|]*)\|$`).FindAllStringSubmatch(pages(t)[securityPage], -1)
	if want := len(firsts(`(?m)^\| (C\d\d) \|`, pages(t)[securityPage])); len(rows) != want || want == 0 {
		t.Fatalf("%d of %d controls have a column with tests", len(rows), want)
	}
	for _, row := range rows {
		named := firsts("`([^`]+)`", row[2])
		if len(named) == 0 {
			t.Errorf("%s names no test", row[1])
		}
		for _, name := range named {
			folder, test, _ := strings.Cut(name, ".")
			files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
			if err != nil || len(files) == 0 {
				t.Errorf("%s: %s has no tests, %v", row[1], folder, err)
				continue
			}
			declared := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(test) + `\(\w+ \*testing\.[FMT]\) \{$`)
			if !declared.MatchString(read(t, filepath.Join("..", folder, "*_test.go"))) {
				t.Errorf("%s: there is no test %s", row[1], name)
			}
		}
	}
}

// permissions are what each call to Google takes; Policy Troubleshooter has none of its own.
var permissions = map[string]string{
	"artifacts.GetIamPolicy":      "artifactregistry.repositories.getIamPolicy",
	"artifacts.GetRepository":     "artifactregistry.repositories.get",
	"artifacts.GetTag":            "artifactregistry.tags.get",
	"artifacts.GetVersion":        "artifactregistry.versions.get",
	"artifacts.ListLocations":     "artifactregistry.locations.list",
	"artifacts.ListPackages":      "artifactregistry.packages.list",
	"artifacts.ListRepositories":  "artifactregistry.repositories.list",
	"artifacts.ListVersions":      "artifactregistry.versions.list",
	"artifacts.SetIamPolicy":      "artifactregistry.repositories.setIamPolicy",
	"clusters.Get":                "container.clusters.get",
	"instances.Get":               "compute.instances.get",
	"projects.Get":                "resourcemanager.projects.get",
	"projects.GetIamPolicy":       "resourcemanager.projects.getIamPolicy",
	"roles.Roles.Get":             "iam.roles.get",
	"troubleshooter.Troubleshoot": "",
}

// ofPeople are what only the command line calls, with the credentials of whoever runs it.
var ofPeople = []string{"artifacts.ListLocations", "artifacts.ListRepositories"}

// TestPermissionsAgree: the code calls nothing else, says of no other permission that it
// lacks it, and the page lists just these, and the Terraform those of the operator.
func TestPermissionsAgree(t *testing.T) {
	code := read(t, "../internal/gcp/*.go")
	calls := map[string]bool{}
	for _, call := range firsts(`\bs\.((?:artifacts|clusters|instances|projects|roles|troubleshooter)(?:\.[A-Z]\w*)+)\(`, code) {
		calls[call] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(permissions)), slices.Sorted(maps.Keys(calls))); diff != "" {
		t.Errorf("calls of internal/gcp (-known +made):\n%s", diff)
	}
	want := slices.DeleteFunc(slices.Sorted(maps.Values(permissions)), func(p string) bool { return p == "" })
	ofOperator := slices.DeleteFunc(slices.Clone(want), func(p string) bool {
		return slices.ContainsFunc(ofPeople, func(call string) bool { return permissions[call] == p })
	})
	constants := firsts(`(?m)^(?:const |\t)permission\w+ += "([^"]+)"`, code)
	if len(constants) == 0 {
		t.Error("internal/gcp names no permission: the test looks at nothing")
	}
	for _, constant := range constants {
		if !slices.Contains(want, constant) {
			t.Errorf("the code says that it lacks %s, which no call takes", constant)
		}
	}
	for name, of := range map[string]struct{ want, listed []string }{
		"google-cloud.md": {want, firsts("(?m)^\\| `[\\w.]+` \\| `([\\w.]+)` \\|", pages(t)["google-cloud.md"])},
		"config/gcp":      {ofOperator, firsts(`(?m)"((?:artifactregistry|compute|container|iam|resourcemanager)\.[a-z]\w*\.[a-z]\w*)"`, read(t, "../config/gcp/*.tf"))},
	} {
		if diff := cmp.Diff(of.want, slices.Sorted(slices.Values(of.listed))); diff != "" {
			t.Errorf("permissions in %s (-used +listed):\n%s", name, diff)
		}
	}
	for _, list := range firsts(`--permissions=(\S+)`, pages(t)[readme]+pages(t)["google-cloud.md"]) {
		for permission := range strings.SplitSeq(list, ",") {
			if !slices.Contains(ofOperator, permission) {
				t.Errorf("a command gives %s, which no call takes", permission)
			}
		}
	}
}

// TestTenantsMayNotAllowThemselves: the kinds belong to no namespace, and what the roles for
// people add to those of a namespace is reading.
func TestTenantsMayNotAllowThemselves(t *testing.T) {
	crds := read(t, "../config/crd/bases/*.yaml")
	if kinds, scoped := strings.Count(crds, "\n    kind: PullAccess"), strings.Count(crds, "\n  scope: Cluster\n"); kinds == 0 || kinds != scoped {
		t.Errorf("%d of %d kinds are cluster-scoped", scoped, kinds)
	}
	aggregated := 0
	for _, text := range strings.Split(read(t, "../config/rbac/user_roles.yaml"), "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil {
			t.Fatal(err)
		}
		for label := range role.Labels {
			if !strings.HasPrefix(label, "rbac.authorization.k8s.io/aggregate-to-") {
				continue
			}
			aggregated++
			for _, rule := range role.Rules {
				if writes := slices.DeleteFunc(slices.Clone(rule.Verbs), func(verb string) bool {
					return slices.Contains([]string{"get", "list", "watch"}, verb)
				}); len(writes) > 0 {
					t.Errorf("%s lets every tenant %v %v", role.Name, writes, rule.Resources)
				}
			}
		}
	}
	if aggregated == 0 {
		t.Error("no role is aggregated: the test looks at nothing")
	}
}

// TestVerbsOfGrants: of the roles for people one may approve and revoke, and none may keep the record.
func TestVerbsOfGrants(t *testing.T) {
	got := map[string][]string{}
	for _, text := range strings.Split(read(t, "../config/rbac/user_roles.yaml"), "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, verb := range rule.Verbs {
				if slices.Contains([]string{"approve", "revoke", "write-status", "*"}, verb) {
					got[role.Name] = append(got[role.Name], verb)
				}
			}
		}
	}
	if diff := cmp.Diff(map[string][]string{"pull-access-approver": {"approve", "revoke"}}, got); diff != "" {
		t.Errorf("who has the verbs (-want +got):\n%s", diff)
	}
}

// addPeers notes who may use which ports.
func addPeers(open map[string]string, direction string, ports []networkingv1.NetworkPolicyPort, peers []networkingv1.NetworkPolicyPeer) {
	var names []string
	for _, peer := range peers {
		switch {
		case peer.IPBlock != nil:
			names = append(names, peer.IPBlock.CIDR)
		case peer.NamespaceSelector != nil:
			names = append(names, metav1.FormatLabelSelector(peer.NamespaceSelector))
		default:
			names = append(names, "pods")
		}
	}
	if len(peers) == 0 {
		names = []string{"anywhere"}
	}
	for _, port := range ports {
		open[fmt.Sprintf("%s %s %s", direction, *port.Protocol, port.Port)] = strings.Join(names, ", ")
	}
	if len(ports) == 0 {
		open[direction+" every port"] = strings.Join(names, ", ")
	}
}

// TestNetworkPolicies: both directions are closed but for what the page says.
func TestNetworkPolicies(t *testing.T) {
	deployment := manifest[appsv1.Deployment](t, "manager/deployment.yaml")
	got := map[string]string{}
	for _, name := range []string{"ingress", "egress"} {
		policy := manifest[networkingv1.NetworkPolicy](t, "network-policy/"+name+".yaml")
		if policy.Namespace != deployment.Namespace {
			t.Errorf("%s is for namespace %s", name, policy.Namespace)
		}
		if diff := cmp.Diff(deployment.Spec.Selector, &policy.Spec.PodSelector); diff != "" {
			t.Errorf("%s does not select the operator's pods (-want +got):\n%s", name, diff)
		}
		if len(policy.Spec.PolicyTypes) != 1 || !strings.EqualFold(string(policy.Spec.PolicyTypes[0]), name) {
			t.Errorf("%s closes %v", name, policy.Spec.PolicyTypes)
		}
		for _, rule := range policy.Spec.Ingress {
			addPeers(got, name, rule.Ports, rule.From)
		}
		for _, rule := range policy.Spec.Egress {
			addPeers(got, name, rule.Ports, rule.To)
		}
	}
	want := map[string]string{
		"ingress TCP probes": "anywhere", "ingress TCP metrics": "pullaccess.dev/metrics=allowed, kubernetes.io/metadata.name in (gke-gmp-system,gmp-system)",
		"egress TCP 443": "anywhere", "egress UDP 53": "anywhere", "egress TCP 53": "anywhere",
		"egress TCP 80": "169.254.169.254/32", "egress TCP 8080": "169.254.169.254/32",
		"egress TCP 987": "169.254.169.252/32", "egress TCP 988": "169.254.169.252/32",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is open (-want +got):\n%s", diff)
	}
	for _, port := range deployment.Spec.Template.Spec.Containers[0].Ports {
		if _, ok := got["ingress TCP "+port.Name]; !ok {
			t.Errorf("port %s is closed", port.Name)
		}
	}
}

// TestPinned: what is fetched has a version, and what is built its own source.
func TestPinned(t *testing.T) {
	files := []string{"../Makefile", "../Dockerfile", "../.ci/run", "../.github/workflows/ci.yaml", "../hack/node/install.sh"}
	for _, name := range files {
		if found := regexp.MustCompile(`@(latest|main|master|HEAD)\b|:latest\b|(?m)^\s*(- )?uses: `).FindString(read(t, name)); found != "" {
			t.Errorf("%s has %q, which may be another thing tomorrow", name, strings.TrimSpace(found))
		}
	}
	modules := 0
	err := fs.WalkDir(os.DirFS(".."), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if slices.Contains([]string{".git", ".cache", "testdata"}, entry.Name()) && entry.IsDir() {
			return fs.SkipDir
		}
		if entry.Name() != "go.mod" {
			return nil
		}
		modules++
		module := read(t, "../"+path)
		for _, replaced := range regexp.MustCompile(`(?m)^(?:replace)?\s*(\S+).* => (\S+)`).FindAllStringSubmatch(module, -1) {
			if replaced[1] != replaced[2] && !strings.HasPrefix(replaced[2], ".") {
				t.Errorf("%s puts %s in place of %s", path, replaced[2], replaced[1])
			}
		}
		if _, err := os.Stat("../" + strings.TrimSuffix(path, "mod") + "sum"); err != nil {
			t.Errorf("%s has no hashes beside it", path)
		}
		return nil
	})
	if err != nil || modules < 2 {
		t.Errorf("%d modules were seen, %v", modules, err)
	}
}
