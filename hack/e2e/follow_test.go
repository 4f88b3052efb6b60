// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestFollowsPolicies has a failure that is there already when its policy comes, goes and comes back. Each time the pod is
// judged anew; what was said before is counted on its event and not said a second time.
func TestFollowsPolicies(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "slow", backoff: slow})
	l.operator(t)
	s := l.site(t, "follows", nodeProject)
	create(t, s.deployment("slow", 1))
	first := event(t, s.namespace, "Pod", "", "NoPolicy")

	policy := s.policy()
	policy.Spec.Mode = v1alpha1.ModeDryRun
	create(t, policy)
	event(t, s.namespace, "Pod", "", "DryRun")

	if err := shared.client.Delete(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event NoPolicy is counted twice", func(ctx context.Context) (bool, any) {
		now := first
		err := shared.client.Get(ctx, client.ObjectKeyFromObject(&first), &now)
		return err == nil && now.Series != nil && now.Series.Count == 2, now
	})
	if n := l.writes(s.resource()); n != 0 {
		t.Errorf("the policy was written %d times without a policy that allows it", n)
	}

	create(t, s.policy())
	s.grant(t, "is Ready", healed)
	s.running(t, 1)
}
