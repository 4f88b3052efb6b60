// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explanation

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// answer is what follows from a reason of the record.
type answer struct {
	help  diagnosis.Help
	actor diagnosis.Actor
	next  func(subject) string
}

// answers has every reason that a record gives. A reason that is missing here is explained
// by the record's own sentence.
var answers = map[string]answer{
	requested:                 {diagnosis.HelpYes, diagnosis.Operator, show},
	waits:                     {diagnosis.HelpYes, diagnosis.PlatformTeam, approve},
	grantstatus.StateApproved: {diagnosis.HelpYes, diagnosis.Operator, show},
	propagating:               {diagnosis.HelpYes, diagnosis.Operator, show},
	// A pod that fails makes the operator request it.
	v1alpha1.ReasonNotRequested: {diagnosis.HelpYes, diagnosis.Operator, show},

	// The grant has ended.
	denied:                             {diagnosis.HelpYes, diagnosis.PlatformTeam, show},
	string(v1alpha1.EndRevoked):        {diagnosis.HelpYes, diagnosis.PlatformTeam, show},
	grantstatus.StateRevoking:          {diagnosis.HelpYes, diagnosis.PlatformTeam, show},
	lapsed:                             {diagnosis.HelpYes, diagnosis.PlatformTeam, show},
	string(v1alpha1.EndPolicyChanged):  {diagnosis.HelpYes, diagnosis.Operator, show},
	string(v1alpha1.EndNotNeeded):      {diagnosis.HelpYes, diagnosis.Operator, show},
	string(v1alpha1.EndExpired):        {diagnosis.HelpYes, diagnosis.Operator, show},
	string(v1alpha1.EndUnused):         {diagnosis.HelpYes, diagnosis.Operator, show},
	string(v1alpha1.EndRemovedByOwner): {diagnosis.HelpYes, diagnosis.Operator, show},
	string(v1alpha1.EndPolicyGone):     {diagnosis.HelpYes, diagnosis.PlatformTeam, listPolicies},
	removed:                            {diagnosis.HelpNo, diagnosis.PlatformTeam, declare},

	// A limit of the policy holds the grant back.
	string(v1alpha1.LimitGrants):         {diagnosis.HelpYes, diagnosis.Operator, describePolicy},
	string(v1alpha1.LimitCircuitBreaker): {diagnosis.HelpYes, diagnosis.PlatformTeam, describePolicy},

	// Google does not carry it out.
	v1alpha1.ReasonCloudForbidden:       {diagnosis.HelpYes, diagnosis.PlatformTeam, show},
	v1alpha1.ReasonCloudUnreachable:     {diagnosis.HelpYes, diagnosis.Operator, show},
	v1alpha1.ReasonConflict:             {diagnosis.HelpYes, diagnosis.Operator, show},
	v1alpha1.ReasonAccountNotFound:      {diagnosis.HelpNo, diagnosis.PlatformTeam, show},
	v1alpha1.ReasonOrganizationPolicy:   {diagnosis.HelpYes, diagnosis.GoogleCloudAdmin, show},
	v1alpha1.ReasonTooManyPrincipals:    {diagnosis.HelpYes, diagnosis.GoogleCloudAdmin, show},
	v1alpha1.ReasonWriteRefused:         {diagnosis.HelpYes, diagnosis.PlatformTeam, show},
	v1alpha1.ReasonRepositoryNotFound:   {diagnosis.HelpNo, diagnosis.Developer, show},
	v1alpha1.ReasonRepositoryUnreadable: {diagnosis.HelpUnknown, diagnosis.PlatformTeam, show},

	// The account has access, and the pull fails all the same.
	blocked:                    {diagnosis.HelpNo, diagnosis.GoogleCloudAdmin, troubleshoot},
	v1alpha1.ReasonIneffective: {diagnosis.HelpNo, diagnosis.GoogleCloudAdmin, troubleshoot},
}

// named returns the command about the name, "" if a shell must not run it.
func named(name string, command func(string) string) string {
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return ""
	}
	return command(name)
}

func show(s subject) string           { return named(s.grant, message.ShowCommand) }
func approve(s subject) string        { return named(s.grant, message.ApproveCommand) }
func declare(s subject) string        { return named(s.grant, message.DeclareCommand) }
func describePolicy(s subject) string { return named(s.policy, message.DescribePolicyCommand) }
func listPolicies(subject) string     { return message.ListPoliciesCommand }
func troubleshoot(s subject) string   { return diagnosis.TroubleshootCommand(s.repository, s.account) }

func isLimit(reason string) bool {
	return reason == string(v1alpha1.LimitGrants) || reason == string(v1alpha1.LimitCircuitBreaker)
}

// Reasons lists all reasons, in order.
func Reasons() []string {
	all := decision.Reasons()
	for reason := range answers {
		all = append(all, reason)
	}
	for _, reason := range diagnosis.Reasons() {
		all = append(all, string(reason))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// HelpAndActor returns whether a grant helps and who must act for a reason that the record
// or a policy gives. ok is false for a reason that only a diagnosis gives.
func HelpAndActor(reason string) (help diagnosis.Help, actor diagnosis.Actor, ok bool) {
	if a, found := answers[reason]; found {
		return a.help, a.actor, true
	}
	if slices.Contains(decision.Reasons(), reason) {
		return diagnosis.HelpYes, diagnosis.PlatformTeam, true
	}
	return diagnosis.HelpUnknown, "", false
}
