// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/golden"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/outage"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/explanation"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// acme is a cloud in which one account runs a node and may read nothing.
func acme(t *testing.T) *gcpemulator.Emulator {
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
	const project, account = "acme-prod-417", "gke-nodes@acme-prod-417.iam.gserviceaccount.com"
	cloud.AddProject(project, 417)
	cloud.AddServiceAccount(account)
	cloud.AddInstance(gcpemulator.Instance{Project: project, Zone: "us-central1-a", Name: "gke-prod-1", ServiceAccount: account})
	for name, image := range map[string]string{"ledger": "ledger:4", "services": "checkout:1.8.2", "tools": "shell:2"} {
		cloud.AddRepository(gcpemulator.Repository{Project: project, Location: "us-central1", Name: name})
		if err := cloud.PushImage("us-central1-docker.pkg.dev/" + project + "/" + name + "/" + image); err != nil {
			t.Fatal(err)
		}
	}
	return cloud
}

// TestGoldenGrant: three accesses are missing. One policy allows the first, another
// would but for DryRun, and none lists the third; no command bypasses a policy.
func TestGoldenGrant(t *testing.T) {
	got, err := explain(t, "", "-f", "testdata/denied.yaml", "--cloud", "--gcp-endpoint="+acme(t).URL())
	if !errors.Is(err, exit.ErrFailures) {
		t.Fatalf("got %v, want %v", err, exit.ErrFailures)
	}
	golden.Check(t, "testdata/denied.table.golden", got)
}

// TestNamesTheCluster: a command that names the cluster is the operator's, which
// knows its cluster as well.
func TestNamesTheCluster(t *testing.T) {
	text, err := os.ReadFile("testdata/denied.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const plain = "metadata: {name: default, namespace: pay}"
	federated := strings.Replace(string(text), plain, `metadata: {name: default, namespace: pay, annotations: {iam.gke.io/enable-wi-image-pull: "true"}}`, 1)
	got, err := explain(t, federated, "-f", "-", "-n", "pay", "--cloud", "--gcp-endpoint="+acme(t).URL(),
		"--gke-cluster=projects/acme-prod-417/locations/us-central1/clusters/prod")
	if !errors.Is(err, exit.ErrFailures) {
		t.Fatalf("got %v, want %v", err, exit.ErrFailures)
	}
	if want := "workloadIdentityPools/acme-prod-417.svc.id.goog/subject/ns/pay/sa/default"; !strings.Contains(got, want) {
		t.Errorf("%q is not in:\n%s", want, got)
	}
}

// TestOffersCloud: who has explained a file without the cloud is told how to explain
// it with the cloud, and that works.
func TestOffersCloud(t *testing.T) {
	text, err := os.ReadFile("testdata/denied.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cloud := acme(t)
	t.Chdir(t.TempDir())
	const file = "what's wrong.yaml"
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	reasonOf := func(arguments ...string) (reason, command string) {
		t.Helper()
		out, err := explain(t, "", append(arguments, "-o", "json")...)
		var d report.Document
		if unreadable := json.Unmarshal([]byte(out), &d); !errors.Is(err, exit.ErrFailures) || unreadable != nil || len(d.Outages) != 1 {
			t.Fatalf("got %v, %v, %s", err, unreadable, out)
		}
		return d.Outages[0].Reason, d.Outages[0].Command
	}
	reason, command := reasonOf("deployment/ledger", "-n", "pay", "-f", file)
	if want := `kubectl pullaccess explain deployment/ledger -f 'what'\''s wrong.yaml' -n pay --cloud`; reason != "PermissionDenied" || command != want {
		t.Errorf("%s: it offers %s, want %s", reason, command, want)
	}
	reason, command = reasonOf("deployment/ledger", "-f", file, "-n", "pay", "--cloud", "--gcp-endpoint="+cloud.URL())
	if reason != "AccessRequested" || !strings.HasPrefix(command, "kubectl pullaccess grants ledger.gke-nodes.") {
		t.Errorf("with the cloud it finds %s and offers %s", reason, command)
	}
}

// TestOffersCloudLive: so is who has explained a cluster without it; other reasons
// keep their commands.
func TestOffersCloudLive(t *testing.T) {
	const command = "kubectl pullaccess explain web --namespace=shop"
	found := []outage.Finding{
		{Explanation: explanation.Explanation{Reason: string(pullfailure.PermissionDenied), NextStep: command}},
		{Explanation: explanation.Explanation{Reason: string(diagnosis.PullSecretUsed), NextStep: "kubectl describe secret s"}},
	}
	o := options{config: genericclioptions.NewConfigFlags(false)}
	o.offerCloud(found, nil)
	if got := found[0].Explanation.NextStep; got != command+" --cloud" {
		t.Errorf("it offers %q", got)
	}
	if got := found[1].Explanation.NextStep; got != "kubectl describe secret s" {
		t.Errorf("of a pull secret it offers %q", got)
	}
}

// TestRecordInFile: a file that holds the grant is explained by it, with and without the cloud,
// and nothing that is offered bypasses the denial.
func TestRecordInFile(t *testing.T) {
	text, err := os.ReadFile("testdata/denied.yaml")
	if err != nil {
		t.Fatal(err)
	}
	grant := `- apiVersion: pullaccess.dev/v1alpha1
  kind: PullAccessGrant
  metadata: {name: ledger.gke-nodes.7d7fceac9da5007d}
  spec:
    repository: {project: acme-prod-417, location: us-central1, name: ledger}
    member: serviceAccount:gke-nodes@acme-prod-417.iam.gserviceaccount.com
  status:
    review: {decision: Denied, user: ann@example.com, reason: not ours}
    workloads: [{kind: Deployment, namespace: pay, name: ledger}]
    conditions:
    - {type: Approved, status: Unknown, reason: WaitingForApproval}
    - {type: Granted, status: Unknown, reason: WaitingForApproval}
`
	var said []string
	for _, arguments := range [][]string{nil, {"--cloud", "--gcp-endpoint=" + acme(t).URL()}} {
		out, err := explain(t, string(text)+grant, append([]string{"deployment/ledger", "-n", "pay", "-f", "-", "-o", "json"}, arguments...)...)
		var d report.Document
		if unreadable := json.Unmarshal([]byte(out), &d); !errors.Is(err, exit.ErrFailures) || unreadable != nil || len(d.Outages) != 1 {
			t.Fatalf("got %v, %v, %s", err, unreadable, out)
		}
		o := d.Outages[0]
		said = append(said, o.Reason+": "+o.Sentence+" "+o.Command)
	}
	const want = "Denied: Denied by ann@example.com: not ours. Nothing was written."
	if said[0] != said[1] || !strings.HasPrefix(said[0], want) || !strings.HasSuffix(said[0], " kubectl pullaccess grants ledger.gke-nodes.7d7fceac9da5007d") {
		t.Errorf("it says %q without and %q with the cloud, want %q", said[0], said[1], want)
	}
}
