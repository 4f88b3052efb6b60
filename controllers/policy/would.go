// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/demand"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// setWouldGrant lists what failing pods need under a policy in mode DryRun. An entry stays
// until the operator has evaluated every pod and none of them needs the grant.
func (r *Reconciler) setWouldGrant(policy *v1alpha1.PullAccessPolicy) {
	before := policy.Status.WouldGrant
	policy.Status.WouldGrant, policy.Status.WouldGrantCount = nil, nil
	if grants(policy.Spec.Mode) {
		return
	}
	needed := map[string]v1alpha1.WouldGrant{}
	for _, d := range r.Demand.All(func(repository imageref.Repository, member string) bool {
		email, ok := v1alpha1.EmailOf(member)
		return ok && decision.ListsRepository(policy, repository) && decision.ListsAccount(policy, email)
	}) {
		if would, ok := wouldGrant(d, policy.Name); ok {
			needed[decision.GrantName(d.Repository, d.Member)] = would
		}
	}
	for _, old := range before {
		name := decision.GrantName(imageref.Of(old.Repository), old.Member)
		would, known := needed[name]
		switch _, absent := r.Demand.AbsentSince(name); {
		case known:
			would.FirstTime = old.FirstTime
			needed[name] = would
		case !absent && !r.needed(name):
			needed[name] = old
		}
	}
	all := make([]v1alpha1.WouldGrant, 0, len(needed))
	for _, would := range needed {
		all = append(all, would)
	}
	slices.SortFunc(all, func(a, b v1alpha1.WouldGrant) int {
		return cmp.Or(a.FirstTime.Compare(b.FirstTime.Time), cmp.Compare(imageref.Of(a.Repository).String(), imageref.Of(b.Repository).String()), cmp.Compare(a.Member, b.Member))
	})
	policy.Status.WouldGrantCount = ptr.To(int32(len(all)))
	policy.Status.WouldGrant = all[:min(len(all), v1alpha1.MaxWouldGrant)]
}

// needed tells whether a pod needs the grant, under any policy.
func (r *Reconciler) needed(name string) bool {
	_, ok := r.Demand.Of(name)
	return ok
}

// wouldGrant returns the entry for the claims under the policy; ok is false if there is none.
func wouldGrant(d demand.Demand, policy string) (would v1alpha1.WouldGrant, ok bool) {
	for _, claim := range d.Claims {
		if claim.Policy != policy || grants(claim.Mode) {
			continue
		}
		if would.Pods == 0 {
			owner := claim.Workload
			would = v1alpha1.WouldGrant{
				Repository: d.Repository.Record(), Member: d.Member, FirstTime: metav1.NewTime(claim.Since),
				Workload: &owner, Image: bounded(d.Image, maxImage),
			}
		}
		would.Pods++
	}
	return would, would.Pods > 0
}

// wouldGrants returns the number of grants that pods need under the policy.
func wouldGrants(policy *v1alpha1.PullAccessPolicy) int {
	return int(ptr.Deref(policy.Status.WouldGrantCount, 0))
}
