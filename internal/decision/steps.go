// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// step is one question to a policy. Whoever asks several asks them in this
// order: for the pod, for the grant, and whether the policy is in force.
type step struct {
	passes bool
	reason string
	field  string
	// say is why it refuses, to be read after the policy's name.
	say string
}

func pass(steps []step) bool {
	for _, s := range steps {
		if !s.passes {
			return false
		}
	}
	return true
}

// podSteps ask whether the policy covers the pod.
func podSteps(policy *v1alpha1.PullAccessPolicy, pod Pod) []step {
	return []step{
		{selects(policy.Spec.NamespaceSelector, pod.NamespaceLabels), ReasonNamespaceNotSelected, "spec.namespaceSelector", "it does not select namespace " + pod.Namespace},
		{selects(policy.Spec.PodSelector, pod.Labels), ReasonPodNotSelected, "spec.podSelector", "it does not select the pod"},
	}
}

// grantSteps ask whether the policy allows the member on the repository.
func grantSteps(policy *v1alpha1.PullAccessPolicy, repository imageref.Repository, virtual bool, email string) []step {
	spec := policy.Spec
	return []step{
		{listsRepository(spec.Repositories, repository), ReasonRepositoryNotListed, "spec.repositories", "it does not list repository " + repository.String()},
		{listsAccount(spec.NodeServiceAccounts, email), ReasonServiceAccountNotListed, "spec.nodeServiceAccounts", "it does not list service account " + email},
		{
			!diagnosis.IsComputeDefault(email) || spec.ComputeDefaultServiceAccount == v1alpha1.Allow,
			ReasonComputeDefaultServiceAccount, "spec.computeDefaultServiceAccount",
			"it does not allow Compute Engine default service accounts such as " + email + "; give the nodes an account of their own",
		},
		{
			!virtual || spec.VirtualRepositories == v1alpha1.Allow, ReasonVirtualRepository, "spec.virtualRepositories",
			"repository " + repository.String() + " is virtual, and a grant there opens all its upstream repositories",
		},
	}
}

// forceSteps ask whether the policy is in force at all.
func forceSteps(policy *v1alpha1.PullAccessPolicy) []step {
	return []step{
		{policy.DeletionTimestamp == nil, v1alpha1.ReasonPolicyGone, "metadata", "it is being deleted"},
		{policy.Spec.Pause == nil, v1alpha1.ReasonPaused, "spec.pause", "it is paused"},
		{
			policy.Spec.Mode == v1alpha1.ModeEnforce || policy.Spec.Mode == v1alpha1.ModeApprove,
			v1alpha1.ReasonDryRun, "spec.mode", "its mode is DryRun",
		},
	}
}
