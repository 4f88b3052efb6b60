// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/outage"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/audit"
)

// page is what users read of the program.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/kubectl.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is the part of the page below a heading of the second rank.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, after, found := strings.Cut(page(t), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("the page has no heading %q", heading)
	}
	before, _, _ := strings.Cut(after, "\n## ")
	return before
}

// headings are the parts of the page that have the verbs' flags.
var headings = map[string]string{
	"explain": "explain", "audit": "audit", "classify": "classify", "grants": "grants", "approve": "approve and deny", "deny": "approve and deny",
	"revoke": "revoke", "pause": "pause and resume", "resume": "pause and resume",
}

// TestPageHasVerbs: each verb has its part of the page.
func TestPageHasVerbs(t *testing.T) {
	root := newCommand(t.Context(), "", genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: io.Discard})
	for _, c := range root.Commands() {
		switch verb := c.Name(); verb {
		case "version", "options", "completion", "help":
		default:
			if headings[verb] == "" {
				t.Errorf("the test knows no part of the page for %s", verb)
			}
		}
	}
}

// TestPageHasFlags: the tables have the flags that the verbs have, and no other. A
// flag that one of two verbs has alone is said to be that verb's.
func TestPageHasFlags(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| (?:`-(\\w)`, )?`--([a-z-]+)`(?: \\(([a-z]+)\\))? \\|")
	root := newCommand(t.Context(), "", genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: io.Discard})
	for verb, heading := range headings {
		c, _, err := root.Find([]string{verb})
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				want = append(want, f.Shorthand+" "+f.Name)
			}
		})
		if verb == "explain" {
			want = append(want, "n namespace") // kubectl's own, and the one that is always asked for.
		}
		for _, found := range row.FindAllStringSubmatch(section(t, heading), -1) {
			if found[3] == "" || found[3] == verb {
				got = append(got, found[1]+" "+found[2])
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("flags of %s (-program +page):\n%s", verb, diff)
		}
	}
}

// TestPageHasExitCodes: the table says what the verbs' help says, in a row for each
// that end alike.
func TestPageHasExitCodes(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| ((?:` + "`[a-z]+`" + `(?:, )?)+) \| (.*?) ?\| (.*?) ?\| (.*?) ?\| (.*?) ?\|$`)
	seen := map[string]bool{}
	for _, r := range row.FindAllStringSubmatch(section(t, "Exit codes"), -1) {
		var meanings []exit.Meaning
		for code, says := range r[2:] {
			if says != "" {
				meanings = append(meanings, exit.Meaning{Code: code, Says: says})
			}
		}
		for _, verb := range strings.Split(strings.ReplaceAll(r[1], "`", ""), ", ") {
			seen[verb] = true
			_, help, _ := run(t, verb, "--help")
			if want := exit.Help(meanings) + "\n\n"; !strings.Contains(help, want) {
				t.Errorf("of %s the page says\n%sand the help\n%s", verb, want, help)
			}
		}
	}
	for verb := range headings {
		if !seen[verb] {
			t.Errorf("the page has no exit codes of %s", verb)
		}
	}
	if _, root, _ := run(t, "--help"); !strings.Contains(root, exit.Help(exit.Any())+"\n\n") {
		t.Errorf("the help of all does not say what the codes mean:\n%s", root)
	}
}

// TestPageHasExample: what an administrator has to run is found by the same words in
// the help as on the page, and it is gcloud's commands alone.
func TestPageHasExample(t *testing.T) {
	_, help, _ := run(t, "explain", "--help")
	_, after, found := strings.Cut(help, "  # What an administrator has to run in Google Cloud, without repetition\n")
	if !found {
		t.Fatalf("the help has no such example:\n%s", help)
	}
	example, _, _ := strings.Cut(after, "\n\n")
	example = strings.ReplaceAll(example, "\n  ", "\n")[len("  "):]
	if !strings.Contains(example, `startswith("gcloud ")`) {
		t.Errorf("it chooses other commands too: %s", example)
	}
	if !strings.Contains(section(t, "explain"), "\n"+example+"\n") {
		t.Errorf("the page has another example than the help:\n%s", example)
	}
}

// TestPageHasDocument: the example has the fields that the document has, and no other.
func TestPageHasDocument(t *testing.T) {
	_, after, _ := strings.Cut(section(t, "explain"), "```yaml\n")
	example, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("the page shows no document")
	}
	made := report.New([]outage.Outage{{Workloads: []outage.Affected{{}}}}, nil)
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keys(t, text), keys(t, []byte(example))); diff != "" {
		t.Errorf("fields (-program +page):\n%s", diff)
	}
}

// TestPageHasAudit: the example of its document has the fields that it prints, its
// columns are those of the CSV, and its reasons those that it knows, in their order.
func TestPageHasAudit(t *testing.T) {
	page := section(t, "audit")
	_, after, _ := strings.Cut(page, "```yaml\n")
	example, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("the page shows no document")
	}
	printed, err := os.ReadFile("../audit/testdata/acme.json.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keys(t, printed), keys(t, []byte(example))); diff != "" {
		t.Errorf("fields (-program +page):\n%s", diff)
	}
	printed, err = os.ReadFile("../audit/testdata/acme.csv.golden")
	if err != nil {
		t.Fatal(err)
	}
	if header, _, _ := strings.Cut(string(printed), "\n"); !strings.Contains(page, "\n"+header+"\n") {
		t.Errorf("the page does not have the columns %s", header)
	}
	var reasons []audit.Reason
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]\\w+)` \\|").FindAllStringSubmatch(page, -1) {
		reasons = append(reasons, audit.Reason(row[1]))
	}
	if diff := cmp.Diff(audit.Reasons(), reasons); diff != "" {
		t.Errorf("reasons (-program +page):\n%s", diff)
	}
}

// keys are the names of all fields, with those of the first item of each list.
func keys(t *testing.T, text []byte) []string {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	var all []string
	var walk func(prefix string, value any)
	walk = func(prefix string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for k, of := range v {
				all = append(all, prefix+k)
				walk(prefix+k+".", of)
			}
		case []any:
			if len(v) > 0 {
				walk(prefix, v[0])
			}
		}
	}
	walk("", value)
	slices.Sort(all)
	return all
}

// TestPageHasVerdict: the table has the fields that classify prints, in their order.
func TestPageHasVerdict(t *testing.T) {
	_, out, errOut := run(t, "classify", "-f", "../classify/testdata/forms.in")
	if errOut != "" {
		t.Fatal(errOut)
	}
	line, _, _ := strings.Cut(out, "\n")
	var want, got []string
	for _, f := range regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(line, -1) {
		want = append(want, f[1])
	}
	for _, f := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(section(t, "classify"), -1) {
		got = append(got, f[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-program +page):\n%s", diff)
	}
	if !strings.Contains(section(t, "classify"), line) {
		t.Errorf("the page shows another line than the program prints: %s", line)
	}
}
