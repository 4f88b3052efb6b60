// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package decision judges a diagnosis by the policies of the platform team.
//
// It comes after the diagnosis and before the grant, is pure, and is the only
// maker of a Grant: nothing is written in the cloud that did not come from here.
package decision

import (
	"slices"

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
	// NamespaceLabelsOmitted: the namespace has more labels than are read, and no policy
	// selects it.
	NamespaceLabelsOmitted bool
	Labels                 map[string]string
}

// Grant is a permission to add one member to one repository. Its zero value
// permits nothing; only Decide makes another.
type Grant struct {
	repository imageref.Repository
	member     string
	policy     string
	mode       v1alpha1.PolicyMode
}

// Repository is the one that may be opened.
func (g Grant) Repository() imageref.Repository { return g.repository }

// Member is who may be granted, "serviceAccount:EMAIL".
func (g Grant) Member() string { return g.member }

// Policy is the name of the policy that allows it.
func (g Grant) Policy() string { return g.policy }

// Mode is that policy's: in mode Approve a person is asked before it is written.
func (g Grant) Mode() v1alpha1.PolicyMode { return g.mode }

// Name is the name of the PullAccessGrant that records it.
func (g Grant) Name() string { return GrantName(g.repository, g.member) }

// Decide permits one grant, or says why not: exactly one of both is non-nil.
// A policy is judged by itself, and the first that allows everything in mode
// Enforce decides, else the first in mode Approve; one that only differs by DryRun
// comes next; else the refusal is that of the policy that came closest.
func Decide(in Input) (*Grant, *Refusal) {
	if in.Diagnosis.Help != diagnosis.HelpYes {
		return nil, &Refusal{Reason: string(in.Diagnosis.Reason), Sentence: in.Diagnosis.Sentence, Command: in.Diagnosis.Command}
	}
	closest := withoutPolicy(in.Diagnosis)
	var grant *Grant
	for i := range in.Policies {
		policy := &in.Policies[i]
		refusal := judge(policy, in)
		switch {
		case refusal == nil && (grant == nil || grant.mode != v1alpha1.ModeEnforce && policy.Spec.Mode == v1alpha1.ModeEnforce):
			grant = &Grant{
				repository: in.Diagnosis.Facts.Reference.Repository,
				member:     in.Diagnosis.Facts.Puller.Member(),
				policy:     policy.Name,
				mode:       policy.Spec.Mode,
			}
		case refusal == nil:
		case refusal.rank > closest.rank || refusal.rank == closest.rank && refusal.Policy < closest.Policy:
			closest = refusal
		}
	}
	if grant != nil {
		return grant, nil
	}
	return nil, closest
}

// Permits tells whether the policy still allows what a grant records: the question
// asked again right before the cloud is written. virtual says that the repository
// was read and is a virtual one. What a person has said is not asked here.
func Permits(policy *v1alpha1.PullAccessPolicy, repository imageref.Repository, virtual bool, member string) bool {
	email, ok := v1alpha1.EmailOf(member)
	return ok && pass(grantSteps(policy, repository, virtual, email)) && pass(forceSteps(policy))
}

// Names tells whether one of the policies names what a grant records, in whatever
// mode: one that is paused or set to DryRun allows nothing new and takes nothing back.
func Names(policies []v1alpha1.PullAccessPolicy, repository imageref.Repository, virtual bool, member string) bool {
	email, ok := v1alpha1.EmailOf(member)
	return ok && slices.ContainsFunc(policies, func(p v1alpha1.PullAccessPolicy) bool {
		return p.DeletionTimestamp == nil && pass(grantSteps(&p, repository, virtual, email))
	})
}

// SelectsNamespace reports whether the policy selects the namespace of the pod. It reads
// nothing else of the pod.
func SelectsNamespace(policy *v1alpha1.PullAccessPolicy, pod Pod) bool {
	return pass(namespaceSteps(policy, pod))
}

// Covers tells whether the policy is in force for the pod, so that what owns it
// may be restarted.
func Covers(policy *v1alpha1.PullAccessPolicy, pod Pod) bool {
	return pass(podSteps(policy, pod)) && pass(forceSteps(policy))
}

// judge tries one policy, step by step; nil means that it allows everything.
func judge(policy *v1alpha1.PullAccessPolicy, in Input) *Refusal {
	facts := in.Diagnosis.Facts
	email, _ := v1alpha1.EmailOf(facts.Puller.Member()) // None, unless it is known to be the puller's.
	steps := slices.Concat(
		podSteps(policy, in.Pod),
		grantSteps(policy, facts.Reference.Repository, in.Diagnosis.Virtual(), email),
		forceSteps(policy),
	)
	for i, s := range steps {
		if !s.passes {
			sentence, why := say(policy, in.Diagnosis, s)
			return &Refusal{
				Reason: s.reason, Policy: policy.Name, Field: s.field, Command: commandAfter(policy, in, s),
				Sentence: sentence, Why: why, Would: would(s, in.Diagnosis), rank: i + 1,
			}
		}
	}
	return nil
}
