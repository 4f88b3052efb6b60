// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package decision judges a diagnosis by the policies of the platform team.
//
// It comes after the diagnosis and before the grant, is pure, and is the only
// maker of a Grant: nothing is written in the cloud that did not come from here.
package decision

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// Input is all that a decision rests on.
type Input struct {
	Pod       Pod
	Diagnosis diagnosis.Diagnosis
	Policies  []v1alpha1.PullAccessPolicy
}

// Pod is what a policy selects by.
type Pod struct {
	Namespace       string
	NamespaceLabels map[string]string
	Labels          map[string]string
}

// Grant is a permission to add one member to one repository. Its zero value
// permits nothing; only Decide makes another.
type Grant struct {
	repository imageref.Repository
	member     string
	policy     string
}

// Repository is the one that may be opened.
func (g Grant) Repository() imageref.Repository { return g.repository }

// Member is who may be granted, "serviceAccount:EMAIL".
func (g Grant) Member() string { return g.member }

// Policy is the name of the policy that allows it.
func (g Grant) Policy() string { return g.policy }

// Name is the name of the PullAccessGrant that records it.
func (g Grant) Name() string { return GrantName(g.repository, g.member) }

// Decide permits one grant, or says why not: exactly one of both is non-nil.
// A policy is judged by itself, and the first that allows everything in mode
// Enforce decides; one that only differs by DryRun comes next; else the refusal
// is that of the policy that came closest.
func Decide(in Input) (*Grant, *Refusal) {
	if in.Diagnosis.Help != diagnosis.HelpYes {
		return nil, &Refusal{Reason: string(in.Diagnosis.Reason), Sentence: in.Diagnosis.Sentence, Command: in.Diagnosis.Command}
	}
	closest := refuseWithoutPolicy(in)
	for i := range in.Policies {
		refusal := judge(&in.Policies[i], in)
		if refusal == nil {
			return &Grant{
				repository: in.Diagnosis.Facts.Reference.Repository,
				member:     in.Diagnosis.Facts.Puller.Member(),
				policy:     in.Policies[i].Name,
			}, nil
		}
		if refusal.step > closest.step || refusal.step == closest.step && refusal.Policy < closest.Policy {
			closest = refusal
		}
	}
	return nil, closest
}

// Permits tells whether one of the policies still allows what a grant records:
// the question asked again right before the cloud is written. virtual says that
// the repository is, or may be, a virtual one.
func Permits(policies []v1alpha1.PullAccessPolicy, repository imageref.Repository, virtual bool, member string) bool {
	email, ok := strings.CutPrefix(member, "serviceAccount:")
	return ok && slices.ContainsFunc(policies, func(p v1alpha1.PullAccessPolicy) bool {
		return p.DeletionTimestamp == nil && p.Spec.Mode == v1alpha1.ModeEnforce &&
			listsRepository(p.Spec.Repositories, repository) && listsAccount(p.Spec.NodeServiceAccounts, email) &&
			(!diagnosis.IsComputeDefault(email) || p.Spec.ComputeDefaultServiceAccount == v1alpha1.Allow) &&
			(!virtual || p.Spec.VirtualRepositories == v1alpha1.Allow)
	})
}

// Covers tells whether the policy is in force for the pod, so that what owns it
// may be restarted.
func Covers(policy *v1alpha1.PullAccessPolicy, pod Pod) bool {
	return policy.DeletionTimestamp == nil && policy.Spec.Mode == v1alpha1.ModeEnforce && selectsNamespace(policy, pod) && selectsPod(policy, pod)
}

// judge tries one policy, step by step; nil means that it allows everything.
func judge(policy *v1alpha1.PullAccessPolicy, in Input) *Refusal {
	repository, puller := in.Diagnosis.Facts.Reference.Repository, in.Diagnosis.Facts.Puller
	for i, s := range []struct {
		passes bool
		reason string
		field  string
		say    string
	}{
		{policy.DeletionTimestamp == nil, ReasonPolicyGone, "metadata", "it is being deleted"},
		{selectsNamespace(policy, in.Pod), ReasonNamespaceNotSelected, "spec.namespaceSelector", "it does not select namespace " + in.Pod.Namespace},
		{selectsPod(policy, in.Pod), ReasonPodNotSelected, "spec.podSelector", "it does not select the pod"},
		{listsRepository(policy.Spec.Repositories, repository), ReasonRepositoryNotListed, "spec.repositories", "it does not list repository " + repository.String()},
		{listsAccount(policy.Spec.NodeServiceAccounts, puller.Email), ReasonServiceAccountNotListed, "spec.nodeServiceAccounts", "it does not list service account " + puller.Email},
		{
			!diagnosis.IsComputeDefault(puller.Email) || policy.Spec.ComputeDefaultServiceAccount == v1alpha1.Allow,
			ReasonComputeDefaultServiceAccount, "spec.computeDefaultServiceAccount",
			"it does not allow Compute Engine default service accounts such as " + puller.Email + "; give the nodes an account of their own",
		},
		{
			!in.Diagnosis.Virtual() || policy.Spec.VirtualRepositories == v1alpha1.Allow,
			ReasonVirtualRepository, "spec.virtualRepositories",
			"repository " + repository.String() + " is virtual, and a grant there opens all its upstream repositories",
		},
		{policy.Spec.Mode == v1alpha1.ModeEnforce, ReasonDryRun, "spec.mode", "its mode is DryRun"},
	} {
		if s.passes {
			continue
		}
		r := &Refusal{Reason: s.reason, Policy: policy.Name, Field: s.field, step: i + 1, Command: in.Diagnosis.Command}
		if s.reason == ReasonDryRun {
			r.Sentence = fmt.Sprintf("Would grant %s read access to repository %s, but policy %s is in mode DryRun.", puller.Email, repository, policy.Name)
		} else {
			r.Sentence = fmt.Sprintf("%s Policy %s does not allow the grant: %s (%s).", in.Diagnosis.Sentence, policy.Name, s.say, s.field)
		}
		return r
	}
	return nil
}

func refuseWithoutPolicy(in Input) *Refusal {
	return &Refusal{
		Reason:   ReasonNoPolicy,
		Sentence: in.Diagnosis.Sentence + " No PullAccessPolicy allows the operator to grant it; make one, or grant it by hand.",
		Command:  in.Diagnosis.Command,
	}
}
