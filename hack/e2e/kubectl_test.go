// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
)

// plugin is kubectl-pullaccess, called as the administrator of the cluster with the emulated cloud.
type plugin struct {
	binary, endpoint string
	// env is added to the environment.
	env []string
}

func newPlugin(t *testing.T, endpoint string) plugin {
	t.Helper()
	p := plugin{binary: filepath.Join(t.TempDir(), "kubectl-pullaccess"), endpoint: endpoint}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", p.binary, "./cmd/kubectl-pullaccess")
	build.Dir = shared.root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return p
}

// run returns the exit code and what was printed.
func (p plugin) run(t *testing.T, arguments ...string) (code int, out, errOut string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), p.binary, arguments...)
	c.Env = append(append(os.Environ(), "KUBECONFIG="+shared.Kubeconfig), p.env...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err := c.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), o.String(), e.String()
}

// explain wants failures to be found, and returns them.
func (p plugin) explain(t *testing.T, arguments ...string) report.Document {
	t.Helper()
	arguments = append([]string{"explain", "-o", "json"}, arguments...)
	if p.endpoint != "" {
		arguments = append(arguments, "--cloud", "--gcp-endpoint="+p.endpoint)
	}
	code, out, errOut := p.run(t, arguments...)
	if code != exit.Failures || errOut != "" {
		t.Fatalf("%v: exit code %d, want %d; it says %q", arguments, code, exit.Failures, errOut)
	}
	var document report.Document
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatalf("%v: %v in %s", arguments, err, out)
	}
	return document
}

// only wants one outage, and returns it.
func only(t *testing.T, d report.Document) report.Outage {
	t.Helper()
	if len(d.Outages) != 1 || len(d.Notes) > 0 {
		t.Fatalf("it finds %s, want one outage and no note", show(d))
	}
	return d.Outages[0]
}

// TestKubectl explains what the operator has told in events, live and from files.
func TestKubectl(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"quick", "quicker"} {
		l.start(t, node{name: name, backoff: quick})
	}
	denied, missing, ledger := l.site(t, "explain-denied", sharedProject), l.site(t, "explain-missing", sharedProject), l.site(t, "explain-denied-too", sharedProject)
	many := denied.deployment("quick", 3)
	// Another workload, in another namespace and of another image, that the same access would heal.
	other := ledger.deployment("quicker", 1)
	other.Name, other.Spec.Template.Spec.Containers[0].Image = "ledger", strings.Replace(denied.image, "/app:", "/ledger:", 1)
	l.push(t, other.Spec.Template.Spec.Containers[0].Image)
	missing.allow(missing.member())
	gone := missing.deployment("quick", 1)
	gone.Spec.Template.Spec.Containers[0].Image = strings.TrimSuffix(missing.image, "1") + "2"
	l.operator(t)
	create(t, many, other, gone)

	told := map[string]string{
		"NoPolicy":      event(t, denied.namespace, "Pod", "", "NoPolicy").Note,
		"ImageNotFound": event(t, missing.namespace, "Pod", "", "ImageNotFound").Note,
	}
	event(t, ledger.namespace, "Pod", "", "NoPolicy")
	p := newPlugin(t, l.cloud.URL())
	eventually(t, "all pods cannot pull", func(context.Context) (bool, any) {
		_, out, _ := p.run(t, "explain", "-A", "--cloud=false", "-o", "json")
		return strings.Contains(out, `"podCount": 5,`), out
	})

	t.Run("says what the event says", func(t *testing.T) {
		o := only(t, p.explain(t, "-n", missing.namespace))
		if want := o.Sentence + " Next: " + o.Command + " See " + o.Page; told["ImageNotFound"] != want {
			t.Errorf("the event says %q, explain says %q", told["ImageNotFound"], want)
		}
		o = only(t, p.explain(t, "-n", denied.namespace))
		if want := o.Sentence + " Next: " + o.Command + " See " + o.Page; told["NoPolicy"] != want {
			t.Errorf("the event says %q, explain says %q", told["NoPolicy"], want)
		}
	})
	t.Run("makes one of one outage", func(t *testing.T) {
		d := p.explain(t, "-A")
		i := slices.IndexFunc(d.Outages, func(o report.Outage) bool { return o.Reason == "NoPolicy" })
		if i < 0 {
			t.Fatalf("it finds %s", show(d))
		}
		o := d.Outages[i]
		if o.PodCount != 4 || len(o.Workloads) != 2 || o.GrantHelps != "Yes" || o.Puller != nodeAccount || o.Repository != denied.repository.String() {
			t.Errorf("it finds %s", show(o))
		}
		_, out, _ := p.run(t, "explain", "-A", "--gcp-endpoint="+p.endpoint)
		if n := strings.Count(out, "\nexplain-"); n != 2 {
			t.Errorf("the table has %d rows, want one for each outage:\n%s", n, out)
		}
		wantWords(t, out, "explain-denied (+1)", "deployment/app (+1)", "\n    gcloud artifacts repositories add-iam-policy-binding explain-denied ")
		_, out, _ = p.run(t, "explain", "-A", "-o", "wide", "--gcp-endpoint="+p.endpoint)
		wantWords(t, out, "\nexplain-denied-too   deployment/ledger", nodeAccount)
	})
	t.Run("finds what is named", func(t *testing.T) {
		var pods corev1.PodList
		if err := shared.client.List(t.Context(), &pods, client.InNamespace(denied.namespace)); err != nil {
			t.Fatal(err)
		}
		pod, set := pods.Items[0].Name, pods.Items[0].OwnerReferences[0].Name
		for _, argument := range []string{pod, "pod/" + pod, "deployment/app", "deploy/app", "rs/" + set} {
			want := 3
			if strings.HasSuffix(argument, pod) {
				want = 1
			}
			if o := only(t, p.explain(t, argument, "-n", denied.namespace)); o.PodCount != want || o.Reason != "NoPolicy" {
				t.Errorf("%s: %s", argument, show(o))
			}
		}
		only(t, p.explain(t, "-n", denied.namespace, "-l", "app in (app, other)"))
	})
	t.Run("offline is as live", func(t *testing.T) {
		for _, format := range []string{"json", "yaml"} {
			file := filepath.Join(t.TempDir(), "cluster."+format)
			text, err := shared.Kubectl(t.Context(), "get", "pods,events,nodes,serviceaccounts", "-A", "-o", format)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, namespace := range []string{denied.namespace, missing.namespace} {
				alone := plugin{binary: p.binary}
				live, offline := only(t, alone.explain(t, "-n", namespace, "--cloud=false")), only(t, alone.explain(t, "-f", file, "-n", namespace))
				if namespace == denied.namespace && live.Reason != "NoPolicy" {
					t.Errorf("without the cloud it finds %s, and the operator's event tells more", live.Reason)
				}
				if diff := cmp.Diff(live, offline); diff != "" {
					t.Errorf("without the cloud, in %s, %s (-live +offline):\n%s", namespace, format, diff)
				}
				live, offline = only(t, p.explain(t, "-n", namespace)), only(t, p.explain(t, "-f", file, "-n", namespace))
				live.Policy = "" // The file shows no policies.
				if diff := cmp.Diff(live, offline); diff != "" {
					t.Errorf("with the cloud, in %s, %s (-live +offline):\n%s", namespace, format, diff)
				}
			}
		}
	})
	t.Run("needs no credentials", func(t *testing.T) {
		without := plugin{binary: p.binary, env: []string{
			"HOME=" + t.TempDir(), "CLOUDSDK_CONFIG=" + t.TempDir(), "GOOGLE_APPLICATION_CREDENTIALS=", "GCE_METADATA_HOST=" + freeAddress(t),
		}}
		o := only(t, without.explain(t, "-n", denied.namespace, "--cloud-timeout=5s"))
		if o.Reason != "NoPolicy" || o.Command != "" || len(o.Unknown) != 1 {
			t.Errorf("it finds %s, want what the event says, and no command of it that grants", show(o))
		}
	})
	t.Run("needs no rights beyond pods", func(t *testing.T) {
		create(t,
			&rbacv1.Role{
				ObjectMeta: metav1.ObjectMeta{Name: "looker", Namespace: denied.namespace},
				Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}},
			},
			&rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "looker", Namespace: denied.namespace},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "looker"},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "looker"}},
			})
		d := p.explain(t, "-n", denied.namespace, "--as=looker")
		if len(d.Notes) != 1 || len(d.Outages) != 1 || d.Outages[0].GrantHelps != "Unknown" || d.PodCount != 3 {
			t.Errorf("it finds %s", show(d))
		}
		wantWords(t, strings.Join(d.Notes, ""), "Events of reason Failed, ", "were not read", "forbidden")
	})
	t.Run("ends as it should", func(t *testing.T) { endsAsItShould(t, p, denied.namespace) })
}

// endsAsItShould tries what the exit codes promise.
func endsAsItShould(t *testing.T, p plugin, namespace string) {
	t.Helper()
	server := "--server=https://" + freeAddress(t)
	tests := map[string]struct {
		arguments []string
		code      int
		out       string
		errOut    []string
	}{
		"nothing failing":   {[]string{"explain", "-n", "default"}, exit.OK, "No pod was found", nil},
		"nothing selected":  {[]string{"explain", "-n", namespace, "-l", "app=none"}, exit.OK, "No pod was found", nil},
		"not there":         {[]string{"explain", "none", "-n", namespace}, exit.Usage, "", []string{`pods "none" not found`}},
		"workload is gone":  {[]string{"explain", "deploy/none", "-n", namespace}, exit.Usage, "", []string{`deployments.apps "none" not found`}},
		"unknown type":      {[]string{"explain", "service/app"}, exit.Usage, "", []string{`"service"`, "not supported; types are: pod, deployment"}},
		"name and all":      {[]string{"explain", "app", "-A"}, exit.Usage, "", []string{"-n instead of -A"}},
		"unknown flag":      {[]string{"explain", "--unknown"}, exit.Usage, "", []string{"unknown flag: --unknown", "--help"}},
		"unknown format":    {[]string{"explain", "-o", "xml"}, exit.Usage, "", []string{`"xml"`, "table,wide,json,yaml"}},
		"unknown context":   {[]string{"explain", "--context=none"}, exit.Usage, "", []string{"specified context: none"}},
		"wrong endpoint":    {[]string{"explain", "--gcp-endpoint=x"}, exit.Usage, "", []string{"--gcp-endpoint", "URL"}},
		"cloud and none":    {[]string{"explain", "--cloud=false", "--cloud-timeout=1s"}, exit.Usage, "", []string{"--cloud-timeout", "--cloud=false"}},
		"wrong cluster":     {[]string{"explain", "--gke-cluster=x"}, exit.Usage, "", []string{"--gke-cluster", "projects/"}},
		"nobody answers":    {[]string{"explain", "-A", server}, exit.Unreachable, "", []string{strings.TrimPrefix(server, "--server=") + ": dial tcp", "connection refused"}},
		"nobody, for a pod": {[]string{"explain", "app", server}, exit.Unreachable, "", []string{strings.TrimPrefix(server, "--server=") + ": dial tcp", "connection refused"}},
		"not allowed":       {[]string{"explain", "-n", "default", "--as=looker"}, exit.Unreachable, "", []string{"pods is forbidden"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := p.run(t, tc.arguments...)
			if code != tc.code || !strings.Contains(out, tc.out) || tc.out == "" && out != "" {
				t.Errorf("exit code %d, want %d; it prints %q", code, tc.code, out)
			}
			wantWords(t, errOut, tc.errOut...)
			if len(tc.errOut) == 0 && errOut != "" {
				t.Errorf("it says %q", errOut)
			}
		})
	}
	_, out, _ := p.run(t, "__complete", "explain", "-n", namespace, "deployment/")
	wantWords(t, out, "deployment/app\n:4\n")
	_, out, _ = p.run(t, "__complete", "explain", "-n", namespace, "")
	wantWords(t, out, "app-", "statefulset/", ":6\n")
	_, out, _ = p.run(t, "__complete", "explain", "-n", "explain-")
	wantWords(t, out, namespace+"\n", ":4\n")
}
