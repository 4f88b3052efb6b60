// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// cloud knows one access that is missing, and keeps until when it was asked.
type cloud struct {
	mu        sync.Mutex
	deadlines []time.Time
}

func (c *cloud) asked(ctx context.Context) {
	deadline, _ := ctx.Deadline()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadlines = append(c.deadlines, deadline)
}

func (c *cloud) NodeAccount(ctx context.Context, node diagnosis.Node) diagnosis.Puller {
	c.asked(ctx)
	return diagnosis.Puller{
		State: diagnosis.Present, Email: "nodes@acme-prod-417.iam.gserviceaccount.com", Node: node.Name,
		Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"},
	}
}

func (c *cloud) Repository(ctx context.Context, _ imageref.Repository) diagnosis.Repository {
	c.asked(ctx)
	return diagnosis.Repository{
		State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY",
		RegistryURI: "us-central1-docker.pkg.dev/acme-prod-417/services",
	}
}

func (c *cloud) Access(ctx context.Context, _ imageref.Repository, _ string) diagnosis.Access {
	c.asked(ctx)
	return diagnosis.Access{State: diagnosis.Missing}
}

func (c *cloud) ProjectAccess(ctx context.Context, _ imageref.Repository, _ string) diagnosis.Access {
	c.asked(ctx)
	return diagnosis.Access{}
}

func (c *cloud) Overall(ctx context.Context, _ imageref.Repository, _ string) diagnosis.Overall {
	c.asked(ctx)
	return diagnosis.Overall{}
}

func (c *cloud) Content(ctx context.Context, _ imageref.Image) diagnosis.Content {
	c.asked(ctx)
	return diagnosis.Content{State: diagnosis.Present}
}

// someday is a time that tests do not live to see.
var someday = time.Date(2126, 11, 1, 3, 0, 0, 0, time.UTC)

// TestBounded: every question ends with the time that there is for all.
func TestBounded(t *testing.T) {
	until := someday
	asked := &cloud{}
	b := bounded{asked, until}
	ctx := t.Context()
	b.NodeAccount(ctx, diagnosis.Node{})
	b.Repository(ctx, imageref.Repository{})
	b.Access(ctx, imageref.Repository{}, "")
	b.ProjectAccess(ctx, imageref.Repository{}, "")
	b.Overall(ctx, imageref.Repository{}, "")
	b.Content(ctx, imageref.Image{})
	for i, deadline := range asked.deadlines {
		if !deadline.Equal(until) {
			t.Errorf("question %d may last until %v, want %v", i, deadline, until)
		}
	}
	if len(asked.deadlines) != 6 {
		t.Errorf("%d questions came through", len(asked.deadlines))
	}
}

// kubernetes holds one node and one namespace, and refuses what is forbidden or down.
type kubernetes struct {
	forbidden, down string
	policies        []v1alpha1.PullAccessPolicy
}

func (c kubernetes) refuse(kind string) error {
	switch kind {
	case c.forbidden:
		return apierrors.NewForbidden(schema.GroupResource{Resource: kind}, "", errors.New("no"))
	case c.down:
		return errors.New("connection refused")
	}
	return nil
}

func (c kubernetes) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	switch o := object.(type) {
	case *corev1.Node:
		o.Spec.ProviderID = "gce://acme-prod-417/us-central1-a/" + key.Name
		return c.refuse("nodes")
	case *corev1.ServiceAccount:
		return c.refuse("serviceaccounts")
	case *v1alpha1.PullAccessGrant:
		if err := c.refuse("grants"); err != nil {
			return err
		}
		return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	default:
		return c.refuse("namespaces")
	}
}

func (c kubernetes) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if policies, ok := list.(*v1alpha1.PullAccessPolicyList); ok {
		policies.Items = c.policies
	}
	return c.refuse("policies")
}

// TestFindings: what may not be read is no reason to say nothing; a cluster that has gone is.
func TestFindings(t *testing.T) {
	const image = "us-central1-docker.pkg.dev/acme-prod-417/services/checkout:1.8.2"
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "app", Image: image}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: `failed to pull and unpack image "` + image +
				`": failed to authorize: failed to fetch oauth token: unexpected status: 403 Forbidden`},
		}}}},
	}
	tests := map[string]struct {
		cluster kubernetes
		reason  diagnosis.Reason
		// policy is how what is said of the policies begins.
		policy string
		actor  diagnosis.Actor
		code   int
	}{
		"all is read":          {kubernetes{}, "NoPolicy", "No PullAccessPolicy allows", diagnosis.PlatformTeam, exit.OK},
		"grants forbidden":     {kubernetes{forbidden: "grants"}, "NoPolicy", "No PullAccessPolicy allows", diagnosis.PlatformTeam, exit.OK},
		"policies forbidden":   {kubernetes{forbidden: "policies"}, diagnosis.AccessMissing, "", diagnosis.PlatformTeam, exit.OK},
		"namespaces forbidden": {kubernetes{forbidden: "namespaces"}, diagnosis.AccessMissing, "", diagnosis.PlatformTeam, exit.OK},
		"accounts forbidden":   {kubernetes{forbidden: "serviceaccounts"}, diagnosis.PullerUnknown, "", diagnosis.PlatformTeam, exit.OK},
		"grants gone":          {kubernetes{down: "grants"}, "", "", "", exit.Unreachable},
		"nodes gone":           {kubernetes{down: "nodes"}, "", "", "", exit.Unreachable},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := options{clock: testclock.NewFakePassiveClock(someday), cloudTimeout: time.Minute}
			asked := &cloud{}
			found, err := o.findings(t.Context(), tc.cluster, asked, &source.Snapshot{Pods: []*corev1.Pod{pod}})
			if code := exit.Code(err); code != tc.code {
				t.Fatalf("exit code %d (%v), want %d", code, err, tc.code)
			}
			if tc.code != exit.OK {
				return
			}
			if len(found) != 1 || len(asked.deadlines) == 0 {
				t.Fatalf("it finds %d failures after %d questions", len(found), len(asked.deadlines))
			}
			for _, deadline := range asked.deadlines {
				if want := someday.Add(time.Minute); !deadline.Equal(want) {
					t.Errorf("the cloud may answer until %v, want %v", deadline, want)
				}
			}
			got := found[0]
			if got.Explanation.Reason != string(tc.reason) || !strings.HasPrefix(got.Policy, tc.policy) || (tc.policy == "") != (got.Policy == "") {
				t.Errorf("it finds %s and %q, want %s and %q", got.Explanation.Reason, got.Policy, tc.reason, tc.policy)
			}
			if unseen := got.Explanation.NextStep == "kubectl get pullaccesspolicies"; unseen != (tc.reason == diagnosis.AccessMissing) {
				t.Errorf("it offers %q, and a policy that may not be read may deny the access", got.Explanation.NextStep)
			}
			if got.Explanation.Actor != tc.actor {
				t.Errorf("%s is to act, want %s", got.Explanation.Actor, tc.actor)
			}
		})
	}
}

// TestFinding: what is said of the policies stands beside the explanation, and the operator
// acts only where one of them allows it.
func TestFinding(t *testing.T) {
	const command, account = "gcloud bind", "nodes@acme-prod-417.iam.gserviceaccount.com"
	facts := diagnosis.Diagnosis{Help: diagnosis.HelpYes, Actor: diagnosis.Operator, Reason: diagnosis.AccessMissing, Sentence: "No access.", Command: command}
	facts.Facts.Puller = diagnosis.Puller{State: diagnosis.Present, Email: account}
	facts.Facts.Reference.Repository = imageref.Repository{Project: "acme-prod-417", Location: "us", Name: "services"}
	grant := decision.GrantName(facts.Facts.Reference.Repository, "serviceAccount:"+account)
	allows := v1alpha1.PullAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "prod"},
		Spec: v1alpha1.PullAccessPolicySpec{
			Mode: v1alpha1.ModeEnforce, NamespaceSelector: &metav1.LabelSelector{}, PodSelector: &metav1.LabelSelector{},
			Repositories:        []v1alpha1.RepositoryPattern{{Project: "acme-prod-417", Location: "us", Name: "services"}},
			NodeServiceAccounts: []string{account},
		},
	}
	dry, asks, other, deleted := *allows.DeepCopy(), *allows.DeepCopy(), *allows.DeepCopy(), *allows.DeepCopy()
	dry.Spec.Mode, asks.Spec.Mode = v1alpha1.ModeDryRun, v1alpha1.ModeApprove
	other.Spec.Repositories[0].Name = "other"
	deleted.DeletionTimestamp = &metav1.Time{Time: someday}
	propagates, virtual, notHelped := facts, facts, facts
	propagates.Reason = diagnosis.WaitingForPropagation
	virtual.Facts.Repository.Mode = "VIRTUAL_REPOSITORY"
	notHelped.Help, notHelped.Actor, notHelped.Reason = diagnosis.HelpNo, diagnosis.Developer, diagnosis.ScopesMissing
	const platform = diagnosis.PlatformTeam
	tests := map[string]struct {
		diagnosis diagnosis.Diagnosis
		policies  []v1alpha1.PullAccessPolicy
		unread    bool
		reason    string
		// policy is how what is said of them begins.
		policy, command string
		actor           diagnosis.Actor
	}{
		"allowed":              {facts, []v1alpha1.PullAccessPolicy{allows}, false, "AccessRequested", "Policy prod allows the operator to grant it.", "kubectl pullaccess grants " + grant, diagnosis.Operator},
		"to be approved":       {facts, []v1alpha1.PullAccessPolicy{asks}, false, "WaitingForApproval", "Policy prod allows it after an approval (kubectl pullaccess grants --waiting).", "kubectl pullaccess approve " + grant, platform},
		"none":                 {facts, nil, false, "NoPolicy", "No PullAccessPolicy allows the operator", command, platform},
		"not listed":           {facts, []v1alpha1.PullAccessPolicy{other}, false, "RepositoryNotListed", "Policy prod does not allow the grant: ", "kubectl edit pullaccesspolicy prod", platform},
		"dry run":              {facts, []v1alpha1.PullAccessPolicy{dry}, false, "DryRun", "Would grant service account " + account, `kubectl patch pullaccesspolicy prod --type=merge --patch='{"spec":{"mode":"Enforce"}}'`, platform},
		"being deleted":        {facts, []v1alpha1.PullAccessPolicy{deleted}, false, "PolicyGone", "Policy prod does not allow the grant: ", "kubectl get pullaccesspolicies", platform},
		"forbidden":            {virtual, []v1alpha1.PullAccessPolicy{allows}, false, "VirtualRepository", "Policy prod does not allow the grant: ", "kubectl edit pullaccesspolicy prod", platform},
		"not read":             {facts, nil, true, "AccessMissing", "", command, platform},
		"propagates":           {propagates, []v1alpha1.PullAccessPolicy{allows}, false, "WaitingForPropagation", "Policy prod allows", command, diagnosis.Operator},
		"propagates, approved": {propagates, []v1alpha1.PullAccessPolicy{asks}, false, "WaitingForPropagation", "Policy prod allows", command, diagnosis.Operator},
		"propagates, none":     {propagates, nil, false, "WaitingForPropagation", "No PullAccessPolicy in mode Enforce or Approve covers this pod", command, diagnosis.Nobody},
		"propagates, not read": {propagates, nil, true, "WaitingForPropagation", "", command, diagnosis.Nobody},
		"no grant helps":       {notHelped, []v1alpha1.PullAccessPolicy{allows}, false, "ScopesMissing", "", command, diagnosis.Developer},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			f := finder{clock: testclock.NewFakePassiveClock(someday)}
			got := f.finding(&corev1.Pod{}, "app", decision.Input{Diagnosis: tc.diagnosis, Policies: tc.policies}, !tc.unread)
			if !strings.HasPrefix(got.Policy, tc.policy) || (tc.policy == "") != (got.Policy == "") {
				t.Errorf("it says %q, want it to begin with %q", got.Policy, tc.policy)
			}
			e := got.Explanation
			if e.Reason != tc.reason || e.Actor != tc.actor || e.NextStep != tc.command {
				t.Errorf("%s: %s is to act and run %q, want %s, %s and %q", e.Reason, e.Actor, e.NextStep, tc.reason, tc.actor, tc.command)
			}
		})
	}
}
