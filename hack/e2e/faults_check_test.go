// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// builder is another account, which the node has nothing to do with.
const builder = "builder@" + nodeProject + ".iam.gserviceaccount.com"

// others is what others have in the policy of every repository: roles before and after the reader's, a member that is
// deleted, and audit settings.
func others() *iampb.Policy {
	return &iampb.Policy{
		Bindings: []*iampb.Binding{
			{Role: "roles/artifactregistry.writer", Members: []string{"serviceAccount:" + builder, "user:dev@example.com"}},
			{Role: readerRole, Members: []string{
				"user:zoe@example.com", "deleted:serviceAccount:old@" + nodeProject + ".iam.gserviceaccount.com?uid=417417",
				"group:developers@example.com",
			}},
			{Role: "roles/artifactregistry.admin", Members: []string{"group:platform@example.com"}},
		},
		AuditConfigs: []*iampb.AuditConfig{{
			Service:         "artifactregistry.googleapis.com",
			AuditLogConfigs: []*iampb.AuditLogConfig{{LogType: iampb.AuditLogConfig_DATA_READ}},
		}},
	}
}

// seedPolicy sets what others have.
func (c *cell) seedPolicy() {
	c.cloud.SetPolicy(c.resource(), others())
	c.seed = c.cloud.Policy(c.resource())
}

// wantPolicy wants the repository's policy to be that of the others in value and order, with the cell's member once at the
// end of the reader's binding or not at all.
func (c *cell) wantPolicy(t *testing.T, granted bool) {
	t.Helper()
	want := proto.CloneOf(c.seed)
	if granted {
		reader := want.GetBindings()[1]
		reader.Members = append(reader.Members, c.member())
	}
	if diff := cmp.Diff(want, c.cloud.Policy(c.resource()), protocmp.Transform(), protocmp.IgnoreFields(&iampb.Policy{}, "etag")); diff != "" {
		t.Errorf("policy of the repository, granted %t (-want +got):\n%s", granted, diff)
	}
}

func (c *cell) wantStatus(t *testing.T, more ...int) {
	t.Helper()
	got := c.answers(c.resource())
	for i := range got {
		if c.cloudFault.late && got[i] == http.StatusConflict {
			got[i] = 0 // It has arrived by now.
		}
	}
	if diff := cmp.Diff(slices.Concat(c.wantStatuses(), more), got); diff != "" {
		t.Errorf("what the writes of the policy were answered, 0 for nothing (-want +got):\n%s", diff)
	}
}

// check wants the cell to have come to the one end of every way there, with nothing doubled and nothing left over, and then
// its grant to be taken back.
func (c *cell) check(t *testing.T) {
	t.Helper()
	if c.late != "" {
		t.Fatal(c.late)
	}
	c.wantStatus(t)
	c.wantPolicy(t, !c.crash.revoking)
	c.wantRestarts(t, 1)
	if c.crash.revoking {
		return // That the grant is gone is its end.
	}
	grant := &v1alpha1.PullAccessGrant{}
	if err := shared.client.Get(t.Context(), client.ObjectKey{Name: c.name()}, grant); err != nil {
		t.Fatal(err)
	}
	c.wantRecord(t, grant)
	if err := shared.client.Delete(t.Context(), grant); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the grant is let go of", func(ctx context.Context) (bool, any) {
		left := &v1alpha1.PullAccessGrant{}
		err := shared.client.Get(ctx, client.ObjectKeyFromObject(grant), left)
		return apierrors.IsNotFound(err), []any{err, left.Finalizers, left.Status}
	})
	c.wantPolicy(t, false)
	c.wantStatus(t, http.StatusOK)
}

// wantRecord wants the record of a grant that is healed, without anything open.
func (c *cell) wantRecord(t *testing.T, grant *v1alpha1.PullAccessGrant) {
	t.Helper()
	if grant.Status.Origin != v1alpha1.OriginAdded {
		t.Errorf("the grant's origin is %q, want Added", grant.Status.Origin)
	}
	if w := grant.Status.Write; w == nil || w.EtagAfter == "" {
		t.Errorf("the intent of the write was left open: %s", show(w))
	}
	if want := []string{v1alpha1.Finalizer}; !slices.Equal(grant.Finalizers, want) {
		t.Errorf("the grant has the finalizers %v, want %v", grant.Finalizers, want)
	}
	for _, kind := range []string{v1alpha1.ConditionApproved, v1alpha1.ConditionGranted, v1alpha1.ConditionEffective, v1alpha1.ConditionReady} {
		if !slices.ContainsFunc(grant.Status.Conditions, func(x metav1.Condition) bool { return x.Type == kind && x.Status == metav1.ConditionTrue }) {
			t.Errorf("condition %s is not True: %s", kind, show(grant.Status.Conditions))
		}
	}
	counts := map[v1alpha1.HistoryEvent]int{}
	for _, entry := range grant.Status.History {
		counts[entry.Event]++
	}
	if counts[v1alpha1.HistoryGranted] != 1 || counts[v1alpha1.HistoryRestarted] != 1 {
		t.Errorf("the history tells of %d grants and %d restarts, want one each: %s",
			counts[v1alpha1.HistoryGranted], counts[v1alpha1.HistoryRestarted], show(grant.Status.History))
	}
	if len(grant.Status.Workloads) != 1 || grant.Status.RecoveredWorkloads != 1 {
		t.Fatalf("the record has other workloads than the one: %s", show(grant.Status))
	}
	w := grant.Status.Workloads[0]
	if restarts := c.restarts(t); w.State != v1alpha1.WorkloadRecovered || len(restarts) != int(w.Attempts) {
		t.Errorf("it was restarted at %v, and the record is %s", restarts, show(w))
	}
}

// nothingElse wants the life to have done nothing but what its cells are for: no grant, member or write elsewhere, nothing
// stuck, and no panic on the way.
func (f *life) nothingElse(t *testing.T) {
	t.Helper()
	resources := map[string]bool{}
	for _, c := range f.cells {
		resources[c.resource()] = true
	}
	for _, r := range f.cloud.Requests()[f.before:] {
		if strings.Contains(strings.ToLower(r.Method), "setiampolicy") && !resources[r.Resource] {
			t.Errorf("the policy of %s was written by %s", r.Resource, r.Method)
		}
	}
	for _, resource := range []string{f.decoy.resource(), "projects/" + nodeProject, "projects/" + sharedProject} {
		for _, binding := range f.cloud.Policy(resource).GetBindings() {
			if slices.Contains(binding.GetMembers(), f.decoy.member()) {
				t.Errorf("%s is in the policy of %s, which no PullAccessPolicy lists", f.decoy.member(), resource)
			}
		}
	}
	var grants v1alpha1.PullAccessGrantList
	if err := shared.client.List(t.Context(), &grants); err != nil {
		t.Fatal(err)
	}
	for i := range grants.Items {
		t.Errorf("grant %s is left", grants.Items[i].Name)
	}
	if f.api.meddle != nil && f.struck.Load() == 0 {
		t.Errorf("the fault of the API server never struck")
	}
	for _, k := range []*keptOperator{f.first, f.standby, f.next} {
		if k == nil {
			continue
		}
		for _, line := range k.panics(t) {
			t.Errorf("the operator panicked: %s", line)
		}
	}
}
