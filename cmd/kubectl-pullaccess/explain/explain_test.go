// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/golden"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// explain runs the verb with a kubeconfig that knows no cluster.
func explain(t *testing.T, stdin string, arguments ...string) (out string, err error) {
	t.Helper()
	var o bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &o, ErrOut: &o}
	config := genericclioptions.NewConfigFlags(false)
	c := NewCommand("test", config, streams)
	config.AddFlags(c.Flags())
	kubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kubeconfig, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.SetArgs(append([]string{"--kubeconfig", kubeconfig}, arguments...))
	c.SilenceErrors, c.SilenceUsage = true, true
	err = c.ExecuteContext(t.Context())
	return o.String(), err
}

// TestGolden explains a cluster in which much is wrong: two workloads of one
// repository, one of their pods between two attempts; a pod that runs and cannot
// pull again; a sandbox; an image name that is meant for the terminal.
func TestGolden(t *testing.T) {
	for _, format := range report.Formats() {
		t.Run(format, func(t *testing.T) {
			got, err := explain(t, "", "-f", "testdata/cluster.json", "-o", format)
			if !errors.Is(err, exit.ErrFailures) {
				t.Fatalf("got %v, want %v", err, exit.ErrFailures)
			}
			golden.Check(t, filepath.Join("testdata", "cluster."+format+".golden"), got)
			if strings.ContainsAny(got, "\x1b\u202e\x07") {
				t.Error("it carries control characters of the pods")
			}
		})
	}
}

func TestNarrow(t *testing.T) {
	tests := map[string]struct {
		arguments []string
		// want are words of the table, not is one that must not be there.
		want []string
		not  string
	}{
		"namespace":            {[]string{"-n", "shop"}, []string{"deployment/checkout", "2 "}, "ledger"},
		"all beats namespace":  {[]string{"-n", "shop", "-A"}, []string{"(+1)"}, ""},
		"pod":                  {[]string{"ledger-0"}, []string{"statefulset/ledger"}, "checkout"},
		"deployment":           {[]string{"deployment/checkout"}, []string{"deployment/checkout"}, "ledger"},
		"its set":              {[]string{"rs/checkout-6d5f7c9b8"}, []string{"deployment/checkout"}, "ledger"},
		"job":                  {[]string{"job/typo"}, []string{"job/typo"}, "ledger"},
		"selector":             {[]string{"-l", "pod-template-hash"}, []string{"deployment/checkout"}, "ledger"},
		"nothing fails":        {[]string{"healthy"}, []string{"No pod was found that cannot pull its image."}, "NAMESPACE"},
		"it is going anyway":   {[]string{"leaving"}, []string{"No pod was found"}, "NAMESPACE"},
		"other's selector":     {[]string{"-l", "app=none"}, []string{"No pod was found"}, "NAMESPACE"},
		"two files of the one": {[]string{"-f", "testdata/cluster.json", "-n", "shop"}, []string{"deployment/checkout", "2 "}, "ledger"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := explain(t, "", append([]string{"-f", "testdata/cluster.json"}, tc.arguments...)...)
			if err != nil && !errors.Is(err, exit.ErrFailures) {
				t.Fatal(err)
			}
			for _, word := range tc.want {
				if !strings.Contains(got, word) {
					t.Errorf("it prints\n%s\nwant %q", got, word)
				}
			}
			if tc.not != "" && strings.Contains(got, tc.not) {
				t.Errorf("it prints\n%s\nwithout %q", got, tc.not)
			}
		})
	}
}

func TestWrongUse(t *testing.T) {
	tests := map[string]struct {
		stdin     string
		arguments []string
		words     []string
	}{
		"two arguments":      {"", []string{"deployment", "app"}, []string{"at most one", "for example deployment/app"}},
		"unknown type":       {"", []string{"service/app"}, []string{`type "service" is not supported; types are: pod, deployment`}},
		"no name":            {"", []string{"pod/"}, []string{"neither POD nor TYPE/NAME"}},
		"name and -A":        {"", []string{"app", "-A"}, []string{"pod/app", "-n instead of -A"}},
		"name and selector":  {"", []string{"app", "-l", "a=b"}, []string{"not both"}},
		"selector":           {"", []string{"-l", "=="}, []string{"--selector"}},
		"format":             {"", []string{"-o", "xml"}, []string{`"xml"`, "table,wide,json,yaml"}},
		"time-out":           {"", []string{"--cloud-timeout", "0s"}, []string{"--cloud-timeout", "--cloud=false"}},
		"no file":            {"", []string{"-f", "testdata/none"}, []string{"testdata/none", "no such file"}},
		"nothing":            {"", []string{"-f", "-"}, []string{"standard input:1:", "kubectl get pods,events -o json"}},
		"table":              {"NAME READY STATUS\nweb 0/1 ErrImagePull\n", []string{"-f", "-"}, []string{"standard input:1:", "kubectl get pods,events -o json"}},
		"cut off":            {"{\n \"kind\": \"List\",\n \"items\": [\n  {\"kind\"", []string{"-f", "-"}, []string{"standard input:4:", "broken or cut off"}},
		"target not in file": {`{"kind":"List","apiVersion":"v1","items":[]}`, []string{"-f", "-", "deploy/app"}, []string{"no pod of deployment/app is in standard input"}},
		"pod not in file":    {"", []string{"-f", "testdata/cluster.json", "zz", "-n", "shop"}, []string{"pod/zz in namespace shop is not in testdata/cluster.json"}},
		"no such namespace":  {"", []string{"-f", "testdata/cluster.json", "-n", "none"}, []string{"no pod in namespace none is in testdata/cluster.json"}},
		"no pods":            {`{"kind":"Node","apiVersion":"v1","metadata":{"name":"n"}}`, []string{"-f", "-"}, []string{"no pod is in standard input"}},
		"endpoint":           {"", []string{"-f", "testdata/cluster.json", "--cloud", "--gcp-endpoint=x"}, []string{"--gcp-endpoint", "URL"}},
		"cluster":            {"", []string{"-f", "testdata/cluster.json", "--cloud", "--gke-cluster=x"}, []string{"--gke-cluster", "projects/"}},
		"endpoint, no cloud": {"", []string{"-f", "testdata/cluster.json", "--gcp-endpoint=x"}, []string{"--gcp-endpoint", "URL"}},
		"cluster, no cloud":  {"", []string{"-f", "testdata/cluster.json", "--gke-cluster=x"}, []string{"--gke-cluster", "projects/"}},
		"endpoint for none":  {"", []string{"-f", "testdata/cluster.json", "--gcp-endpoint=http://127.0.0.1:1"}, []string{"--gcp-endpoint", "not asked with -f: add --cloud"}},
		"cluster for none":   {"", []string{"-f", "testdata/cluster.json", "--gke-cluster=" + someCluster}, []string{"--gke-cluster", "add --cloud"}},
		"time-out for none":  {"", []string{"--cloud=false", "--cloud-timeout=5s"}, []string{"--cloud-timeout", "--cloud=false", "give one of both"}},
		"asking for none":    {"", []string{"-f", "testdata/cluster.json", "--policy-troubleshooter"}, []string{"--policy-troubleshooter", "add --cloud"}},
		"no cloud":           {"", []string{"--no-cloud"}, []string{"unknown flag: --no-cloud"}},
		"context":            {"", []string{"--context=none"}, []string{"none"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := explain(t, tc.stdin, tc.arguments...)
			if code := exit.Code(err); code != exit.Usage || got != "" {
				t.Fatalf("exit code %d (%v), want %d; it prints %q", code, err, exit.Usage, got)
			}
			for _, word := range tc.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("it says %q, want it to say %q", err, word)
				}
			}
		})
	}
}

func TestNothingFails(t *testing.T) {
	got, err := explain(t, `{"kind":"List","apiVersion":"v1","items":[]}`, "-f", "-", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"version\": \"v1\",\n  \"podCount\": 0,\n  \"outages\": [],\n  \"notes\": []\n}\n"; got != want {
		t.Errorf("it prints %q, want %q", got, want)
	}
}

const someCluster = "projects/acme-prod-417/locations/us-central1/clusters/flagged"

// TestCluster: gcloud's contexts name the cluster, the flag comes first, and a
// file need not be of the context.
func TestCluster(t *testing.T) {
	tests := map[string]struct {
		context, flag string
		files         []string
		want          diagnosis.Cluster
	}{
		"gcloud's":    {context: "gke_acme-prod-417_us-central1_main", want: diagnosis.Cluster{Project: "acme-prod-417", Location: "us-central1", Name: "main"}},
		"another's":   {context: "kind-main"},
		"flag":        {context: "gke_acme-prod-417_us-central1_main", flag: someCluster, want: diagnosis.Cluster{Project: "acme-prod-417", Location: "us-central1", Name: "flagged"}},
		"file":        {context: "gke_acme-prod-417_us-central1_main", files: []string{"-"}},
		"file, flag":  {files: []string{"-"}, flag: someCluster, want: diagnosis.Cluster{Project: "acme-prod-417", Location: "us-central1", Name: "flagged"}},
		"looks alike": {context: "gke_acme_us_main_extra"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			kubeconfig := filepath.Join(t.TempDir(), "config")
			text := "apiVersion: v1\nkind: Config\ncurrent-context: " + tc.context + "\n"
			if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			config := genericclioptions.NewConfigFlags(false)
			config.KubeConfig = &kubeconfig
			o := options{config: config, gkeCluster: tc.flag, files: tc.files}
			got, err := o.cluster()
			if err != nil || got != tc.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}
