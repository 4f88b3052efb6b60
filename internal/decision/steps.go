// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/message"
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

// namespaceSteps ask whether the policy selects the pod's namespace.
func namespaceSteps(policy *v1alpha1.PullAccessPolicy, pod Pod) []step {
	return []step{
		{
			!pod.NamespaceLabelsOmitted, ReasonNamespaceNotSelected, "spec.namespaceSelector",
			message.NamespaceLabelsTooLarge(pod.Namespace),
		},
		{selects(policy.Spec.NamespaceSelector, pod.NamespaceLabels), ReasonNamespaceNotSelected, "spec.namespaceSelector", message.NamespaceNotSelected(pod.Namespace)},
	}
}

// podSteps ask whether the policy covers the pod.
func podSteps(policy *v1alpha1.PullAccessPolicy, pod Pod) []step {
	return append(namespaceSteps(policy, pod),
		step{selects(policy.Spec.PodSelector, pod.Labels), ReasonPodNotSelected, "spec.podSelector", message.PodNotSelected})
}

// grantSteps ask whether the policy allows the member on the repository.
func grantSteps(policy *v1alpha1.PullAccessPolicy, repository imageref.Repository, virtual bool, email string) []step {
	spec := policy.Spec
	return []step{
		{listsRepository(spec.Repositories, repository), ReasonRepositoryNotListed, "spec.repositories", message.RepositoryNotListed(repository)},
		{listsAccount(spec.NodeServiceAccounts, email), ReasonServiceAccountNotListed, "spec.nodeServiceAccounts", message.AccountNotListed(email)},
		{
			!diagnosis.IsComputeDefault(email) || spec.ComputeDefaultServiceAccount == v1alpha1.Allow,
			ReasonComputeDefaultServiceAccount, "spec.computeDefaultServiceAccount",
			message.ComputeDefaultAccount(email),
		},
		{
			!virtual || spec.VirtualRepositories == v1alpha1.Allow, ReasonVirtualRepository, "spec.virtualRepositories",
			message.VirtualRepository(repository),
		},
	}
}

// forceSteps ask whether the policy is in force at all.
func forceSteps(policy *v1alpha1.PullAccessPolicy) []step {
	return []step{
		{policy.DeletionTimestamp == nil, v1alpha1.ReasonPolicyGone, "metadata", message.PolicyDeleted},
		{policy.Spec.Pause == nil, v1alpha1.ReasonPaused, "spec.pause", message.PolicyIsPaused},
		{
			policy.Spec.Mode == v1alpha1.ModeEnforce || policy.Spec.Mode == v1alpha1.ModeApprove,
			v1alpha1.ReasonDryRun, "spec.mode", message.ModeIsDryRun,
		},
	}
}
