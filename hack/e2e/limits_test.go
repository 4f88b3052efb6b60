// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// sharing is one policy for both sites, which bears the first one's name.
func sharing(a, b *site) *v1alpha1.PullAccessPolicy {
	policy := a.policy()
	policy.Spec.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpIn, Values: []string{a.namespace, b.namespace},
	}}}
	policy.Spec.Repositories = append(policy.Spec.Repositories, b.policy().Spec.Repositories...)
	return policy
}

func held(by v1alpha1.Limit) func(*v1alpha1.PullAccessGrant) bool {
	return func(g *v1alpha1.PullAccessGrant) bool {
		return is(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, string(by))
	}
}

// TestGrantLimit has a policy that allows one grant in an hour: the second waits, also for the next operator, and continues
// when the policy allows two.
func TestGrantLimit(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	o := l.operator(t)
	first, second := l.site(t, "limit-first", nodeProject), l.site(t, "limit-second", nodeProject)
	policy := sharing(first, second)
	policy.Spec.Limits.MaxGrantsPerHour = 1
	create(t, policy, first.deployment("quick", 1))
	first.grant(t, "is Ready", healed)
	policyCondition(t, policy.Name, v1alpha1.ConditionWithinLimits, metav1.ConditionTrue, v1alpha1.ReasonWithinLimits)

	create(t, second.deployment("quick", 1))
	second.grant(t, "waits for the limit", held(v1alpha1.LimitGrants))
	c := policyCondition(t, policy.Name, v1alpha1.ConditionWithinLimits, metav1.ConditionFalse, string(v1alpha1.LimitGrants))
	wantWords(t, c.Message, "allows 1 grants in an hour", "spec.limits.maxGrantsPerHour", "goes on at 20")
	event(t, "default", "PullAccessPolicy", policy.Name, string(v1alpha1.LimitGrants))
	eventually(t, "the limit is counted", func(ctx context.Context) (bool, any) {
		got := o.metric(ctx, `pullaccess_limits_reached_total{limit="GrantsPerHour"}`)
		return got == "1", got
	})
	if columns, err := shared.Kubectl(t.Context(), "get", "pap", policy.Name, "-o", "wide"); err != nil || !strings.Contains(columns, "GrantsPerHour") {
		t.Errorf("kubectl get shows %s, %v", columns, err)
	}

	o.Stop()
	l.operator(t)
	event(t, second.namespace, "Pod", "", "AccessRequested") // The next operator has judged it.
	second.grant(t, "still waits", held(v1alpha1.LimitGrants))
	if n := l.writes(second.resource()); n != 0 {
		t.Fatalf("the second policy was written %d times", n)
	}

	// More room in the policy has the second one continue: each namespace may have one of two.
	first.editPolicy(t, func(spec *v1alpha1.PullAccessPolicySpec) { spec.Limits.MaxGrantsPerHour = 2 })
	second.grant(t, "is Ready", healed)
	policyCondition(t, policy.Name, v1alpha1.ConditionWithinLimits, metav1.ConditionTrue, v1alpha1.ReasonWithinLimits)
}

// TestRestartLimit has a policy that allows one restart in an hour, for two workloads that wait for one grant.
func TestRestartLimit(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "slow", backoff: slow})
	l.operator(t)
	s := l.site(t, "limit-restarts", nodeProject)
	policy := s.policy()
	policy.Spec.Limits.MaxRestartsPerHour = 1
	other := s.deployment("slow", 1)
	other.Name = "other"
	other.Spec.Selector.MatchLabels["app"], other.Spec.Template.Labels["app"] = "other", "other"
	create(t, s.deployment("slow", 1), other)
	event(t, s.namespace, "Pod", "", "NoPolicy") // Both fail before anything may be done.
	create(t, policy)
	states := func(g *v1alpha1.PullAccessGrant) (n map[v1alpha1.WorkloadState]int) {
		n = map[v1alpha1.WorkloadState]int{}
		for _, w := range g.Status.Workloads {
			n[w.State]++
		}
		return n
	}
	grant := s.grant(t, "has restarted one of two", func(g *v1alpha1.PullAccessGrant) bool {
		n := states(g)
		return n[v1alpha1.WorkloadRecovered] == 1 && n[v1alpha1.WorkloadWaiting] == 1
	})
	for _, w := range grant.Status.Workloads {
		if w.State == v1alpha1.WorkloadWaiting {
			wantWords(t, w.Message, "allows 1 restarts in an hour")
		}
	}
	policyCondition(t, policy.Name, v1alpha1.ConditionWithinLimits, metav1.ConditionFalse, string(v1alpha1.LimitRestarts))
	s.wantRestarts(t, 1)
	s.editPolicy(t, func(spec *v1alpha1.PullAccessPolicySpec) { spec.Limits.MaxRestartsPerHour = 3 }) // Half of it, rounded up.
	s.grant(t, "is Ready", healed)
}

// TestCircuitBreaker has more repositories asked for at once than a policy takes for honest.
func TestCircuitBreaker(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	o := l.operator(t)
	first, second := l.site(t, "storm-first", nodeProject), l.site(t, "storm-second", nodeProject)
	create(t, first.deployment("quick", 1), second.deployment("quick", 1))
	event(t, first.namespace, "Pod", "", "NoPolicy")
	event(t, second.namespace, "Pod", "", "NoPolicy")
	o.Stop()
	policy := sharing(first, second)
	policy.Spec.Mode = v1alpha1.ModeApprove // Both have asked before either may be written.
	policy.Spec.Limits.CircuitBreaker = v1alpha1.CircuitBreakerSpec{MaxRepositories: 1, Window: &metav1.Duration{Duration: 30 * time.Minute}}
	create(t, policy)
	l.operator(t)
	p := newPlugin(t, "")
	for _, s := range []*site{first, second} {
		s.grant(t, "waits for a person", waits)
	}
	p.must(t, "approve", first.name(), second.name())
	for _, s := range []*site{first, second} {
		s.grant(t, "waits for the storm to pass", held(v1alpha1.LimitCircuitBreaker))
	}
	c := policyCondition(t, policy.Name, v1alpha1.ConditionWithinLimits, metav1.ConditionFalse, string(v1alpha1.LimitCircuitBreaker))
	wantWords(t, c.Message, "More than 1 repositories are asked for within 30m0s", "look for one cause behind all")
	if n := l.writes(first.resource()) + l.writes(second.resource()); n != 0 {
		t.Errorf("%d writes in a storm", n)
	}
}
