// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

func endedFor(reason string) func(*v1alpha1.PullAccessGrant) bool {
	return func(g *v1alpha1.PullAccessGrant) bool {
		return is(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, reason) && g.Status.EndedTime != nil
	}
}

// TestEndsWithItsPolicy takes the policy away: what it allowed is taken back, and comes back with it for a pod that fails.
func TestEndsWithItsPolicy(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	l.operator(t)
	s := l.site(t, "policy-gone", nodeProject)
	policy := s.policy()
	policy.Spec.Grant.GracePeriod = &metav1.Duration{}
	create(t, policy, s.deployment("quick", 1))
	s.grant(t, "is Ready", healed)

	if err := shared.client.Delete(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	s.grant(t, "has ended", endedFor("PolicyGone"))
	if got := s.readers(t); len(got) > 0 {
		t.Errorf("readers %v are left", got)
	}
	event(t, "default", "PullAccessGrant", s.grant(t, "is there", func(*v1alpha1.PullAccessGrant) bool { return true }).Name, "PolicyGone")

	create(t, s.policy())
	s.failAnew(t)
	s.grant(t, "is granted anew", func(g *v1alpha1.PullAccessGrant) bool {
		return is(g, v1alpha1.ConditionGranted, metav1.ConditionTrue, v1alpha1.ReasonAccessGranted)
	})
	if got := s.readers(t); len(got) != 1 || got[0] != s.member() {
		t.Errorf("readers %v, want %s once", got, s.member())
	}
}

// failAnew has the site's pods made anew, with an image that no node has yet.
func (s *site) failAnew(t *testing.T) {
	t.Helper()
	s.image = s.image[:len(s.image)-1] + "anew"
	s.push(t, s.image)
	deployment := s.deployment("quick", 1)
	deployment.Name = "anew"
	deployment.Spec.Selector.MatchLabels["app"], deployment.Spec.Template.Labels["app"] = "anew", "anew"
	create(t, deployment)
}

// TestExpiresWhileNobodyLooks has a grant's time end while no operator runs: the next one takes it back as it starts.
func TestExpiresWhileNobodyLooks(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	o := l.operator(t)
	s := l.site(t, "expired", nodeProject)
	policy := s.policy()
	policy.Spec.Grant.ExpireAfter = &metav1.Duration{Duration: time.Hour}
	create(t, policy, s.deployment("quick", 1))
	grant := s.grant(t, "is Ready", healed)
	lasts := grant.Status.Lifetime.ExpireTime
	if lasts == nil || lasts.Sub(grant.Status.GrantedTime.Time) != time.Hour {
		t.Fatalf("granted at %v, it expires at %v, want an hour later", grant.Status.GrantedTime, lasts)
	}
	o.Stop()

	before := grant.DeepCopy()
	past := metav1.NewTime(grant.Status.GrantedTime.Add(-time.Second))
	grant.Status.Lifetime.ExpireTime = &past
	if err := shared.client.Status().Patch(t.Context(), grant, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	l.operator(t)
	s.grant(t, "has ended", endedFor("Expired"))
	if got := s.readers(t); len(got) > 0 {
		t.Errorf("readers %v are left", got)
	}
}
