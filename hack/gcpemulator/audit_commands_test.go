// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/audit"
	"github.com/pull-access/pull-access-operator/internal/gcp"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// audited looks at the repository services and its project as they are now.
func audited(t *testing.T, e *gcpemulator.Emulator) []audit.Finding {
	t.Helper()
	client, err := gcp.New(t.Context(), gcp.Options{Endpoint: e.URL()})
	if err != nil {
		t.Fatal(err)
	}
	repository := imageref.Repository{Project: images, Location: "us-central1", Name: "services"}
	return audit.Judge(audit.Facts{
		Repositories: []imageref.Repository{repository},
		ByRepository: map[imageref.Repository]audit.Access{repository: client.Readers(t.Context(), repository)},
		ByProject:    map[string]audit.Access{images: client.ProjectReaders(t.Context(), images)},
		Policies: []v1alpha1.PullAccessPolicy{{
			ObjectMeta: metav1.ObjectMeta{Name: "prod"}, Spec: v1alpha1.PullAccessPolicySpec{NodeServiceAccounts: []string{account}},
		}},
	}).Findings
}

// TestAuditCommands does what an audit says, one command after the other, until
// there is nothing left to find: the nodes can then read the repository, and others no more.
func TestAuditCommands(t *testing.T) {
	if _, err := exec.LookPath("gcloud"); err != nil {
		t.Skip("NOT TESTED: gcloud is not on the PATH, so the commands were not run")
	}
	const reader, gone = "roles/artifactregistry.reader", "deleted:serviceAccount:old@acme-prod-417.iam.gserviceaccount.com?uid=104"
	e := site(t)
	name := "projects/" + images + "/locations/us-central1/repositories/services"
	e.SetPolicy(name, &iampb.Policy{Bindings: []*iampb.Binding{
		{Role: reader, Members: []string{"allUsers", gone}},
		{Role: "roles/artifactregistry.writer", Members: []string{"serviceAccount:" + account}},
	}})
	e.SetProjectPolicy(images, &iampb.Policy{Bindings: []*iampb.Binding{
		{Role: reader, Members: []string{"serviceAccount:" + account, "user:ada@example.com"}},
		{Role: "roles/editor", Members: []string{"serviceAccount:" + account}},
	}})
	environment := append(os.Environ(), gcpemulator.GcloudEnvironment(e.URL(), t.TempDir())...)
	var seen []audit.Reason
	left := audited(t, e)
	for round := 0; len(left) > 0 && round < 10; round++ {
		seen = append(seen, left[0].Reason)
		shell := exec.CommandContext(t.Context(), "sh", "-c", left[0].Command)
		shell.Env = environment
		if output, err := shell.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", left[0].Command, err, output)
		}
		left = audited(t, e)
	}
	want := []audit.Reason{audit.PublicAccess, audit.BroadRole, audit.BroadRole, audit.BroadRole, audit.ProjectLevelReader, audit.DeletedMember}
	if len(left) > 0 || !slices.Equal(seen, want) {
		t.Errorf("%v were seen to, want %v; %v is left", seen, want, left)
	}
	var members []string
	for _, binding := range e.Policy(name).GetBindings() {
		members = append(members, binding.GetRole()+" "+strings.Join(binding.GetMembers(), ","))
	}
	if want := []string{reader + " serviceAccount:" + account}; !slices.Equal(members, want) {
		t.Errorf("the repository has %v, want %v", members, want)
	}
}
