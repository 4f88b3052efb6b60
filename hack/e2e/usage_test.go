// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestFindsUse looks for the use of a grant on a real API server, with the operator's own rights: its workload uses it, and
// when that is gone nothing does. It is found used again by a workload that is scaled to zero.
func TestFindsUse(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	l.operator(t, "--usage-interval=1s")
	s := l.site(t, "use", nodeProject)
	deployment := s.deployment("quick", 1)
	create(t, s.policy(), deployment)
	used := s.grant(t, "is in use", func(g *v1alpha1.PullAccessGrant) bool {
		return healed(g) && g.Status.Usage.LastUsedTime != nil
	})
	if since := used.Status.Usage.UnusedSinceTime; since != nil {
		t.Errorf("it is in use, and out of use since %s", since)
	}

	if err := shared.client.Delete(t.Context(), deployment); err != nil {
		t.Fatal(err)
	}
	unused := s.grant(t, "is out of use", func(g *v1alpha1.PullAccessGrant) bool { return g.Status.Usage.UnusedSinceTime != nil })
	if usage := unused.Status.Usage; usage.UnusedSinceTime.Before(usage.LastUsedTime) || usage.UnusedCheckedTime != nil {
		t.Errorf("out of use, its usage is %+v", usage)
	}

	create(t, s.deployment("quick", 0))
	s.grant(t, "is in use again", func(g *v1alpha1.PullAccessGrant) bool { return g.Status.Usage.UnusedSinceTime == nil })
}
