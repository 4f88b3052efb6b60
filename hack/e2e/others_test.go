// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/hack/cluster"
)

// TestRemovedByOthers has somebody else take the member out: the operator says so, says how to make it last, and does not
// put it back.
func TestRemovedByOthers(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	o := l.operator(t)
	p := newPlugin(t, "")
	s := l.site(t, "removed", nodeProject)
	create(t, s.policy(), s.deployment("quick", 1))
	old := s.grant(t, "is Ready", healed)
	s.allow("user:somebody@example.com")
	o.Stop()
	before := old.DeepCopy()
	old.Status.GrantedTime = &metav1.Time{Time: old.CreationTimestamp.Add(-time.Hour)} // A grant of this minute is not looked for.
	if err := shared.client.Status().Patch(t.Context(), old, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	l.operator(t) // At its start an operator looks whether what it granted still is there.
	grant := s.grant(t, "was removed", hasEnded(v1alpha1.EndRemovedExternally))
	wantWords(t, grant.Status.Conditions[0].Message+event(t, "default", "PullAccessGrant", grant.Name, "RemovedExternally").Note,
		"Config Connector's IAMPolicy", "kubectl pullaccess grants "+grant.Name+" -o terraform")
	for format, words := range map[string][]string{
		"terraform":        {"google_artifact_registry_repository_iam_member", s.member()},
		"config-connector": {"kind: IAMPolicyMember", s.member()},
		"crossplane":       {"kind: RegistryRepositoryIAMMember", s.member()},
		"gcloud":           {"gcloud artifacts repositories add-iam-policy-binding", s.member()},
	} {
		wantWords(t, p.must(t, "grants", grant.Name, "-o", format), words...)
	}
	s.failAnew(t)
	event(t, s.namespace, "Pod", "", "RemovedExternally")
	if got := s.readers(t); len(got) != 1 || got[0] != "user:somebody@example.com" {
		t.Errorf("readers %v, want what somebody else has set", got)
	}

	// Whoever wants it back deletes the record.
	if err := shared.client.Delete(t.Context(), grant); err != nil {
		t.Fatal(err)
	}
	s.grant(t, "is granted anew", func(g *v1alpha1.PullAccessGrant) bool {
		return is(g, v1alpha1.ConditionGranted, metav1.ConditionTrue, v1alpha1.ReasonAccessGranted)
	})
}

// TestEndsUnused has a grant end for want of use: the workload that used it is deleted, and the time that it takes is moved
// into the past.
func TestEndsUnused(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	l.operator(t, "--usage-interval=1s")
	s := l.site(t, "unused", nodeProject)
	policy := s.policy()
	policy.Spec.Grant.RevokeWhenUnusedFor = &metav1.Duration{Duration: time.Hour}
	policy.Spec.Grant.GracePeriod = &metav1.Duration{}
	deployment := s.deployment("quick", 1)
	create(t, policy, deployment)
	s.grant(t, "is seen to be used", func(g *v1alpha1.PullAccessGrant) bool { return healed(g) && g.Status.Usage.LastUsedTime != nil })

	if err := shared.client.Delete(t.Context(), deployment, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		t.Fatal(err)
	}
	s.grant(t, "is seen to be unused", func(g *v1alpha1.PullAccessGrant) bool { return g.Status.Usage.UnusedSinceTime != nil })
	eventually(t, "its want of use is moved back", func(ctx context.Context) (bool, any) {
		grant := &v1alpha1.PullAccessGrant{}
		if err := shared.client.Get(ctx, client.ObjectKey{Name: s.name()}, grant); err != nil {
			return false, err
		}
		before := grant.DeepCopy()
		past := metav1.NewTime(grant.CreationTimestamp.Add(-2 * time.Hour))
		earlier := metav1.NewTime(past.Add(-time.Hour))
		grant.Status.GrantedTime, grant.Status.Usage.UnusedSinceTime = &earlier, &past
		err := shared.client.Status().Patch(ctx, grant, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		return err == nil, err
	})
	s.grant(t, "has ended", hasEnded(v1alpha1.EndUnused))
	if got := s.readers(t); len(got) > 0 {
		t.Errorf("readers %v are left", got)
	}
}

// TestRevokesAll takes back everything by one command, which asks first.
func TestRevokesAll(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	l.operator(t)
	p := newPlugin(t, "")
	ours, several := l.site(t, "revoke-ours", nodeProject), l.site(t, "revoke-several", nodeProject)
	staying := several.policy()
	staying.Spec.Grant.AccountsUsedBy = v1alpha1.UsedBySeveralClusters
	create(t, ours.policy(), ours.deployment("quick", 1), staying, several.deployment("quick", 1))
	for _, s := range []*site{ours, several} {
		s.grant(t, "is Ready", healed)
	}
	if code, _, errOut := p.run(t, "revoke", "--all"); code != exit.Usage || !strings.Contains(errOut, "--yes") {
		t.Errorf("without a terminal it is %d: %s", code, errOut)
	}
	p.must(t, "revoke", "--all", "--yes", "--reason=uninstall", "--timeout=1m")
	for _, s := range []*site{ours, several} {
		s.grant(t, "was revoked", hasEnded(v1alpha1.EndRevoked))
	}
	if got := ours.readers(t); len(got) > 0 {
		t.Errorf("readers %v are left", got)
	}
	if got := several.readers(t); !slices.Equal(got, []string{several.member()}) {
		t.Errorf("what several clusters use is %v", got)
	}
}

// TestAudits reads who can pull, beside what the operator has added.
func TestAudits(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	l.operator(t)
	p := newPlugin(t, "")
	s := l.site(t, "audits", nodeProject)
	create(t, s.policy(), s.deployment("quick", 1))
	s.grant(t, "is Ready", healed)
	code, out, errOut := p.run(t, "audit", "-o", "csv", "--gcp-endpoint="+l.cloud.URL())
	if code != exit.OK {
		t.Errorf("with nothing amiss it ends with %d: %s", code, errOut)
	}
	wantWords(t, out, s.namespace, s.member(), "roles/artifactregistry.reader", s.name())
	s.allow(s.member(), "allUsers")
	code, out, _ = p.run(t, "audit", "--gcp-endpoint="+l.cloud.URL())
	if code != exit.Failures {
		t.Errorf("with a public repository it ends with %d", code)
	}
	wantWords(t, out, "PublicAccess", "allUsers")
}

// secondCluster is another cluster that shares the cloud, with the operator's parts on it.
func secondCluster(t *testing.T) (c *cluster.Cluster, administrator client.Client, operator string) {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	administrator, operator, err = installOn(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return c, administrator, operator
}

// TestTwoClusters have nodes of one account pull from one repository. The first adds the member, the second finds it. What
// the first takes back, the second adds for itself as soon as a pod of its own needs it; under a policy that says that
// several clusters use the account, the first leaves the member where it is.
func TestTwoClusters(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	l.operator(t)
	ended, kept := l.site(t, "shared-ended", nodeProject), l.site(t, "shared-kept", nodeProject)
	keeping := kept.policy()
	keeping.Spec.Grant.AccountsUsedBy = v1alpha1.UsedBySeveralClusters
	create(t, ended.policy(), ended.deployment("quick", 1), keeping, kept.deployment("quick", 1))
	for _, s := range []*site{ended, kept} {
		if g := s.grant(t, "is Ready", healed); g.Status.Origin != v1alpha1.OriginAdded {
			t.Fatalf("the first cluster's grant is %s", g.Status.Origin)
		}
	}

	second, administrator, kubeconfig := secondCluster(t)
	metadata, providerID := l.machine(t, node{name: "second"})
	started, err := second.StartHollowNode(t.Context(), cluster.HollowNode{
		Name: "second", ProviderID: providerID, MetadataURL: metadata, RegistryURL: l.cloud.URL(), BackoffBase: quick,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(started.Stop)
	startOperator(t, launch{endpoint: l.cloud.URL(), kubeconfig: kubeconfig})
	theirs := *ended
	apply(t, administrator, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: theirs.namespace}}, theirs.policy())
	// The first cluster takes its own back while the second needs it.
	if err := shared.client.Delete(t.Context(), ended.grant(t, "is there", healed)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first cluster's member is out", func(context.Context) (bool, any) {
		got := ended.readers(t)
		return len(got) == 0, got
	})
	apply(t, administrator, theirs.deployment("second", 1))
	eventually(t, "the second cluster adds the member for its own pods", func(ctx context.Context) (bool, any) {
		g := &v1alpha1.PullAccessGrant{}
		err := administrator.Get(ctx, client.ObjectKey{Name: theirs.name()}, g)
		return err == nil && healed(g) && g.Status.Origin == v1alpha1.OriginAdded, []any{err, g.Status}
	})

	if err := shared.client.Delete(t.Context(), kept.grant(t, "is there", healed)); err != nil {
		t.Fatal(err)
	}
	event(t, "default", "PullAccessGrant", kept.name(), "AccessKept")
	if got := kept.readers(t); !slices.Equal(got, []string{kept.member()}) {
		t.Errorf("what several clusters use is %v after the first has let go of it", got)
	}
}

// apply creates objects on another cluster, as soon as it takes them.
func apply(t *testing.T, administrator client.Client, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if d, ok := object.(*appsv1.Deployment); ok {
			eventually(t, "namespace "+d.Namespace+" has its service account", func(ctx context.Context) (bool, any) {
				err := administrator.Get(ctx, client.ObjectKey{Namespace: d.Namespace, Name: "default"}, &corev1.ServiceAccount{})
				return err == nil, err
			})
		}
		if err := administrator.Create(t.Context(), object); err != nil {
			t.Fatalf("create %T %s: %v", object, object.GetName(), err)
		}
	}
}
