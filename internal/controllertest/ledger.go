// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/limit"
)

// Ledger returns the ledger of a process that starts now.
func (e *Env) Ledger() *limit.Ledger {
	e.Helper()
	var policies v1alpha1.PullAccessPolicyList
	if err := e.Server.List(e.Context(), &policies); err != nil {
		e.Fatal(err)
	}
	ledger := limit.NewLedger()
	ledger.Seed(policies.Items, e.Grants(), e.Clock.Now())
	return ledger
}

// Counted returns the number of acts under policy "prod" that the ledger counts for the
// limit now.
func (e *Env) Counted(ledger *limit.Ledger, which v1alpha1.Limit) int {
	e.Helper()
	status := e.Limits(ledger)
	counts := map[v1alpha1.Limit][]v1alpha1.IntervalCount{
		v1alpha1.LimitGrants: status.Grants, v1alpha1.LimitRestarts: status.Restarts, v1alpha1.LimitRevocations: status.Revocations,
	}
	n := 0
	for _, c := range counts[which] {
		n += int(c.Count)
	}
	return n
}

// Limits returns what the ledger publishes about policy "prod", also if it is gone.
func (e *Env) Limits(ledger *limit.Ledger) v1alpha1.LimitsStatus {
	e.Helper()
	policy := e.Policy("prod")
	if policy == nil {
		policy = Policy()
	}
	status, _ := ledger.Status(limit.KeyOf(policy), limit.LimitsOf(policy.Spec.Limits), e.Clock.Now())
	return status
}
