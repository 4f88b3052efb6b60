// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// TestHeals is the main story, and reads it in every place where the operator tells it.
func TestHeals(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "slow", backoff: slow})
	tellsStory(t, l, "heals", "slow")
}

func tellsStory(t *testing.T, l *lab, namespace, node string) {
	t.Helper()
	o := l.operator(t)
	s := l.site(t, namespace, nodeProject)
	create(t, s.policy(), s.deployment(node, 2))

	grant := s.grant(t, "is Ready", healed)
	s.running(t, 2)
	s.healedOnce(t, grant)
	for kind, reason := range map[string]string{
		v1alpha1.ConditionApproved:  v1alpha1.ReasonPolicyEnforces,
		v1alpha1.ConditionGranted:   v1alpha1.ReasonAccessGranted,
		v1alpha1.ConditionEffective: v1alpha1.ReasonPullWorked,
	} {
		if !is(grant, kind, metav1.ConditionTrue, reason) {
			t.Errorf("condition %s is not True by %s: %+v", kind, reason, grant.Status.Conditions)
		}
	}
	event(t, s.namespace, "Pod", "", "AccessRequested")
	event(t, s.namespace, "Deployment", "app", "Restarted")
	event(t, s.namespace, "Deployment", "app", "Recovered")
	event(t, "default", "PullAccessPolicy", s.namespace, "AccessGranted")
	event(t, "default", "PullAccessGrant", grant.Name, "AccessGranted")

	writes := slices.DeleteFunc(l.cloud.Requests(), func(r gcpemulator.Request) bool { return r.Method != "SetIamPolicy" })
	want := []gcpemulator.Request{{
		Method: "SetIamPolicy", Resource: s.resource(), Status: 200, Reason: "pull-access-operator: PullAccessGrant " + grant.Name,
	}}
	if diff := cmp.Diff(want, writes); diff != "" {
		t.Errorf("writes in the cloud (-want +got):\n%s", diff)
	}
	o.showsMetrics(t)
	o.loggedInOrder(t, `"msg":"Creating grant"`, `"msg":"Writing policy"`, `"msg":"Restarting"`)
}

func (o *operator) showsMetrics(t *testing.T) {
	t.Helper()
	for series, want := range map[string]string{
		`pullaccess_pull_failures_total{cause="PermissionDenied"}`:                 "2",
		`pullaccess_decisions_total{outcome="grant",reason="PolicyEnforces"}`:      "",
		`pullaccess_grants_total{result="AccessGranted"}`:                          "1",
		`pullaccess_grant_duration_seconds_count`:                                  "",
		`pullaccess_restarts_total{result="done"}`:                                 "1",
		`pullaccess_recovery_seconds_count`:                                        "1",
		`pullaccess_active_grants`:                                                 "1",
		`pullaccess_stuck_workloads`:                                               "0",
		`controller_runtime_reconcile_panics_total{controller="pod"}`:              "0",
		`controller_runtime_reconcile_panics_total{controller="grant"}`:            "0",
		`controller_runtime_reconcile_panics_total{controller="restart"}`:          "0",
		`controller_runtime_terminal_reconcile_errors_total{controller="restart"}`: "0",
	} {
		eventually(t, "/metrics shows "+series+" "+want, func(ctx context.Context) (bool, any) {
			got := o.metric(ctx, series)
			return got == want || want == "" && got != "" && got != "0", got
		})
	}
}

// loggedInOrder wants these parts of lines in the log, the first of each in this order.
func (o *operator) loggedInOrder(t *testing.T, parts ...string) {
	t.Helper()
	data, err := os.ReadFile(o.log)
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, part := range parts {
		at := strings.Index(string(data), part)
		if at <= last {
			t.Errorf("the log has %s at %d, want it after %d", part, at, last)
		}
		last = at
	}
}

// healedOnce wants the one end of every way there: the member is in the policy once, by the operator, and the workload was
// restarted once.
func (s *site) healedOnce(t *testing.T, grant *v1alpha1.PullAccessGrant) {
	t.Helper()
	if diff := cmp.Diff([]string{s.member()}, s.readers(t)); diff != "" {
		t.Errorf("readers of the repository (-want +got):\n%s", diff)
	}
	if grant.Status.Origin != v1alpha1.OriginAdded {
		t.Errorf("the grant's origin is %q, want Added", grant.Status.Origin)
	}
	s.wantRestarts(t, 1)
}
