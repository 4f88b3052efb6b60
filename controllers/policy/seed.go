// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/limit"
)

// seedRetry is the delay before a retry if the records cannot be read.
const seedRetry = time.Second

// Seeder seeds the ledger once, after the process has become the leader. Until then, the
// ledger denies everything.
type Seeder struct {
	// Client reads from the caches. A read waits until they are filled.
	Client client.Reader
	Ledger *limit.Ledger
	Clock  clock.PassiveClock
}

// Start implements manager.Runnable.
func (s *Seeder) Start(ctx context.Context) error {
	err := wait.PollUntilContextCancel(ctx, seedRetry, true, func(ctx context.Context) (bool, error) {
		if err := s.seed(ctx); err != nil {
			log.FromContext(ctx).Error(err, "Seeding limits")
			return false, nil
		}
		return true, nil
	})
	if ctx.Err() != nil {
		return nil // The process stops.
	}
	return err
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (s *Seeder) NeedLeaderElection() bool { return true }

func (s *Seeder) seed(ctx context.Context) error {
	var policies v1alpha1.PullAccessPolicyList
	if err := s.Client.List(ctx, &policies); err != nil {
		return fmt.Errorf("list policies: %w", err)
	}
	var grants v1alpha1.PullAccessGrantList
	if err := s.Client.List(ctx, &grants); err != nil {
		return fmt.Errorf("list grants: %w", err)
	}
	s.Ledger.Seed(policies.Items, grants.Items, s.Clock.Now())
	return nil
}
