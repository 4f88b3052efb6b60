// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/genproto/googleapis/type/expr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/golden"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	project = "acme-images-306"
	nodes   = "gke-nodes@acme-prod-417.iam.gserviceaccount.com"
	batch   = "gke-batch@acme-prod-417.iam.gserviceaccount.com"
	reader  = "roles/artifactregistry.reader"
)

// kubernetes is a cluster that holds policies and grants, and refuses one of the
// kinds with a status.
type kubernetes struct {
	policies []v1alpha1.PullAccessPolicy
	grants   []v1alpha1.PullAccessGrant
	refuse   map[string]int
}

// ServeHTTP answers lists as an API server does.
func (k kubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, known := strings.CutPrefix(r.URL.Path, "/apis/pullaccess.dev/v1alpha1/")
	code := k.refuse[kind]
	if r.Method != http.MethodGet || !known {
		code = http.StatusTeapot // Nothing else is asked for, and nothing written.
	}
	var answer any
	w.Header().Set("Content-Type", "application/json")
	switch {
	case code != 0:
		w.WriteHeader(code)
		answer = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Message: http.StatusText(code), Reason: reasons[code]}
	case kind == "pullaccesspolicies":
		answer = v1alpha1.PullAccessPolicyList{TypeMeta: metav1.TypeMeta{Kind: "PullAccessPolicyList", APIVersion: "pullaccess.dev/v1alpha1"}, Items: k.policies}
	case kind == "pullaccessgrants":
		answer = v1alpha1.PullAccessGrantList{TypeMeta: metav1.TypeMeta{Kind: "PullAccessGrantList", APIVersion: "pullaccess.dev/v1alpha1"}, Items: k.grants}
	}
	_ = json.NewEncoder(w).Encode(answer) // A caller that is gone misses nothing.
}

var reasons = map[int]metav1.StatusReason{http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusNotFound: metav1.StatusReasonNotFound}

// run runs the verb on a cluster and a cloud; nil is one that is not there.
func run(t *testing.T, of http.Handler, cloud *gcpemulator.Emulator, arguments ...string) (out string, err error) {
	t.Helper()
	var o bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &o, ErrOut: &o}
	config := genericclioptions.NewConfigFlags(false)
	c := NewCommand("test", config, streams)
	config.AddFlags(c.Flags())
	kubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kubeconfig, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(of)
	defer server.Close()
	if of == nil {
		server.Close()
	}
	c.SetArgs(append([]string{"--kubeconfig", kubeconfig, "--server", server.URL, "--gcp-endpoint", cloud.URL()}, arguments...))
	c.SilenceErrors, c.SilenceUsage = true, true
	err = c.ExecuteContext(t.Context())
	return o.String(), err
}

func newCloud(t *testing.T) *gcpemulator.Emulator {
	t.Helper()
	cloud, err := gcpemulator.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	cloud.AddProject(project, 306)
	for _, name := range []string{"services", "team-pay", "team-web", "tools"} {
		cloud.AddRepository(gcpemulator.Repository{Project: project, Location: "us-central1", Name: name})
	}
	return cloud
}

func at(name string) imageref.Repository {
	return imageref.Repository{Project: project, Location: "us-central1", Name: name}
}

func bound(role string, members ...string) *iampb.Binding {
	return &iampb.Binding{Role: role, Members: members}
}

func grant(name, repository, email string, origin v1alpha1.GrantOrigin) v1alpha1.PullAccessGrant {
	return v1alpha1.PullAccessGrant{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.PullAccessGrantSpec{Repository: at(repository).Record(), Member: "serviceAccount:" + email, Policy: "prod"},
		Status: v1alpha1.PullAccessGrantStatus{
			Origin: origin, Conditions: []metav1.Condition{{Type: v1alpha1.ConditionGranted, Status: metav1.ConditionTrue}},
		},
	}
}

func policyOf(patterns ...v1alpha1.RepositoryPattern) v1alpha1.PullAccessPolicy {
	return v1alpha1.PullAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "prod"},
		Spec:       v1alpha1.PullAccessPolicySpec{Repositories: patterns, NodeServiceAccounts: []string{nodes}},
	}
}

// acme is a cluster and a cloud in which much is worth a look: one policy names a
// repository and by a wildcard two more, and nothing names the fourth but a grant.
func acme(t *testing.T) (kubernetes, *gcpemulator.Emulator) {
	t.Helper()
	cloud := newCloud(t)
	office := bound("roles/artifactregistry.viewer", "group:dev@example.com")
	office.Condition = &expr.Expr{Title: "office hours", Expression: "request.time.getHours() > 8"}
	cloud.SetPolicy(at("services").ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{
		bound(reader, "serviceAccount:"+nodes, "serviceAccount:"+batch, "deleted:serviceAccount:old@acme-prod-417.iam.gserviceaccount.com?uid=104"),
		bound("roles/artifactregistry.writer", "serviceAccount:builder@acme-prod-417.iam.gserviceaccount.com", "serviceAccount:"+nodes),
	}})
	cloud.SetPolicy(at("team-web").ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{
		bound(reader, "allUsers", "serviceAccount:417-compute@developer.gserviceaccount.com"),
		bound("projects/acme-images-306/roles/puller", "user:ada@example.com"),
	}})
	cloud.SetPolicy(at("tools").ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{bound(reader, "user:ada@example.com")}})
	cloud.SetProjectPolicy(project, &iampb.Policy{Version: 3, Bindings: []*iampb.Binding{
		bound("roles/owner", "user:root@example.com"), bound(reader, "serviceAccount:"+nodes), office,
		bound("roles/logging.logWriter", "serviceAccount:"+nodes),
	}})
	unused := grant("services.gke-batch.3f1c2a9b5d7e8f60", "services", batch, v1alpha1.OriginAdded)
	since := metav1.NewTime(time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC))
	unused.Status.Usage.UnusedSinceTime = &since
	return kubernetes{
		policies: []v1alpha1.PullAccessPolicy{policyOf(
			v1alpha1.RepositoryPattern{Project: project, Location: "us-central1", Name: "services"},
			v1alpha1.RepositoryPattern{Project: project, Location: "*", Name: "team-*"},
		)},
		grants: []v1alpha1.PullAccessGrant{
			unused, grant("services.gke-nodes.88878a8abc7c5066", "services", nodes, v1alpha1.OriginFound),
			grant("tools.gke-nodes.1b1d2c3f4a5e6078", "tools", nodes, v1alpha1.OriginAdded),
		},
	}, cloud
}

func TestGolden(t *testing.T) {
	cluster, cloud := acme(t)
	for _, format := range formats() {
		t.Run(format, func(t *testing.T) {
			got, err := run(t, cluster, cloud, "-o", format)
			if !errors.Is(err, exit.ErrFindings) {
				t.Fatalf("got %v, want %v", err, exit.ErrFindings)
			}
			golden.Check(t, filepath.Join("testdata", "acme."+format+".golden"), got)
		})
	}
	for _, request := range cloud.Requests() {
		if strings.HasPrefix(request.Method, "Set") {
			t.Errorf("it writes: %+v", request)
		}
	}
}

// TestOutcome: what it looks at, what it says of what it cannot read, and how it ends.
func TestOutcome(t *testing.T) {
	services := v1alpha1.RepositoryPattern{Project: project, Location: "us-central1", Name: "services"}
	wild := v1alpha1.RepositoryPattern{Project: project, Location: "us-central1", Name: "team-*"}
	plain := kubernetes{policies: []v1alpha1.PullAccessPolicy{policyOf(services)}}
	refusing := func(kind string, code int) kubernetes {
		return kubernetes{policies: plain.policies, refuse: map[string]int{kind: code}}
	}
	const one = "--repository=" + project + "/us-central1/tools"
	for name, tc := range map[string]struct {
		cluster   kubernetes
		allow     []string
		arguments []string
		code      int
		// says are words of the output or the error, not is one that must not be there.
		says []string
		not  string
	}{
		"all is well":           {plain, nil, nil, exit.OK, []string{"services", "0 findings"}, "tools"},
		"no policy":             {kubernetes{}, nil, nil, exit.OK, []string{"No repository is named"}, "findings"},
		"one repository":        {plain, nil, []string{one}, exit.OK, []string{"us-central1/tools"}, "services"},
		"one that is not there": {plain, nil, []string{"--repository=" + project + "/us-central1/none"}, exit.Failures, []string{"Not known of", "there is no such repository"}, ""},
		"policies forbidden":    {refusing("pullaccesspolicies", http.StatusForbidden), nil, nil, exit.Unreachable, []string{"Forbidden"}, ""},
		"policies forbidden, one": {
			refusing("pullaccesspolicies", http.StatusForbidden), nil, []string{one}, exit.Failures, []string{"Note: Which accounts policies list for nodes is not known"}, "",
		},
		"no operator":       {refusing("pullaccesspolicies", http.StatusNotFound), nil, nil, exit.Usage, []string{"no PullAccessPolicies", "--repository"}, ""},
		"no operator, one":  {refusing("pullaccesspolicies", http.StatusNotFound), nil, []string{one}, exit.Failures, []string{"Note: Which accounts policies list for nodes is not known"}, ""},
		"no grants":         {refusing("pullaccessgrants", http.StatusNotFound), nil, nil, exit.Failures, []string{"services", "Note: What the operator has added is not known"}, ""},
		"grants forbidden":  {refusing("pullaccessgrants", http.StatusForbidden), nil, nil, exit.Failures, []string{"services", "Note: What the operator has added is not known"}, ""},
		"list forbidden":    {kubernetes{policies: []v1alpha1.PullAccessPolicy{policyOf(services, wild)}}, []string{"artifactregistry.repositories.getIamPolicy", "resourcemanager.projects.getIamPolicy"}, nil, exit.Failures, []string{"services", "Note: Which repositories acme-images-306/us-central1 has", "artifactregistry.repositories.list"}, "team-"},
		"project forbidden": {plain, []string{"artifactregistry.repositories.getIamPolicy"}, nil, exit.Failures, []string{"services", "the IAM policy of project acme-images-306: the asking account lacks permission resourcemanager.projects.getIamPolicy"}, ""},
		"all forbidden":     {plain, []string{}, nil, exit.Failures, []string{"the repository's IAM policy: the asking account lacks permission artifactregistry.repositories.getIamPolicy", "(not known)"}, "(nobody)"},
		"forbidden, as CSV": {plain, []string{}, []string{"-o", "csv"}, exit.Failures, []string{"services,,,,,,,,the repository's IAM policy"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := newCloud(t)
			for _, r := range []string{"services", "tools"} {
				cloud.SetPolicy(at(r).ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{bound(reader, "serviceAccount:"+nodes)}})
			}
			if tc.allow != nil {
				cloud.RestrictCaller("", tc.allow...)
			}
			got, err := run(t, tc.cluster, cloud, tc.arguments...)
			if code := exit.Code(err); code != tc.code {
				t.Errorf("exit code %d (%v), want %d", code, err, tc.code)
			}
			if err != nil && !exit.Silent(err) {
				got += err.Error()
			}
			for _, word := range tc.says {
				if !strings.Contains(got, word) {
					t.Errorf("it says\n%s\nwant %q", got, word)
				}
			}
			if tc.not != "" && strings.Contains(got, tc.not) {
				t.Errorf("it says\n%s\nwithout %q", got, tc.not)
			}
		})
	}
}

// TestGone: a cluster that does not answer ends it, a cloud that does not is a finding.
func TestGone(t *testing.T) {
	cloud := newCloud(t)
	if out, err := run(t, nil, cloud); exit.Code(err) != exit.Unreachable || out != "" || !strings.Contains(err.Error(), "the cluster gives no answer") {
		t.Errorf("without a cluster: %v, %q", err, out)
	}
	cluster, _ := acme(t)
	cloud.InjectFault(gcpemulator.Fault{Delay: time.Minute})
	out, err := run(t, cluster, cloud, "--cloud-timeout=50ms")
	if !errors.Is(err, exit.ErrFindings) || strings.Contains(out, "(nobody)") {
		t.Errorf("without a cloud: %v\n%s", err, out)
	}
	for _, word := range []string{"Not known of acme-images-306/us-central1/services", "Note: Which repositories acme-images-306/*"} {
		if !strings.Contains(out, word) {
			t.Errorf("it says\n%s\nwant %q", out, word)
		}
	}
}

func TestWrongUse(t *testing.T) {
	cloud := newCloud(t)
	for name, tc := range map[string]struct {
		arguments []string
		words     []string
	}{
		"argument":   {[]string{"services"}, []string{`"services"`, "--repository=PROJECT/LOCATION/NAME"}},
		"format":     {[]string{"-o", "yaml"}, []string{`"yaml"`, "table,json,csv"}},
		"time-out":   {[]string{"--cloud-timeout=0s"}, []string{"--cloud-timeout"}},
		"repository": {[]string{"--repository=services"}, []string{"--repository", `"services"`, "PROJECT/LOCATION/NAME"}},
		"wildcard":   {[]string{"--repository=acme/*/services"}, []string{"--repository", "PROJECT/LOCATION/NAME"}},
		"no name":    {[]string{"--repository=acme/us/"}, []string{"--repository"}},
		"endpoint":   {[]string{"--gcp-endpoint=x"}, []string{"--gcp-endpoint", "URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := run(t, kubernetes{}, cloud, tc.arguments...)
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
