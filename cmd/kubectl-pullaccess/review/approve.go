// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

const approveLong = `Allow grants that wait for a person, under a policy in mode Approve. The operator
then adds the member to the repository's policy and restarts what is stuck.

What is approved is what was asked for: when the policy is changed or deleted
before the operator has written, nothing is written, and a pod asks anew.

It takes the verb approve on pullaccessgrants, and patch on
pullaccessgrants/status. The name and reason go on record; the name is the one
under which the API server knows you.`

const approveExample = `  # What waits, and the story of one
  kubectl pullaccess grants --waiting
  kubectl pullaccess grants services.gke-nodes.0ac63ba03103a007

  # Allow it
  kubectl pullaccess approve services.gke-nodes.0ac63ba03103a007 --reason "release 1.8"

  # Would the API server let me?
  kubectl pullaccess approve services.gke-nodes.0ac63ba03103a007 --dry-run=server`

const denyLong = `Refuse grants that wait for a person. Nothing is written to the repository's
policy, and the same access is not asked for again until the record is deleted
with kubectl delete pullaccessgrant NAME.

It takes the verb approve on pullaccessgrants, and patch on
pullaccessgrants/status. The name and reason go on record; the name is the one
under which the API server knows you.`

const denyExample = `  kubectl pullaccess deny services.gke-nodes.0ac63ba03103a007 --reason "use the mirror"`

// NewApproveCommand makes the verb that allows what waits.
func NewApproveCommand(version string, config *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) *cobra.Command {
	return (&answerer{newOptions(version, config, streams), v1alpha1.ReviewApproved}).command()
}

// NewDenyCommand makes the verb that refuses what waits.
func NewDenyCommand(version string, config *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) *cobra.Command {
	return (&answerer{newOptions(version, config, streams), v1alpha1.ReviewDenied}).command()
}

// answerer is one of the two verbs that answer what waits.
type answerer struct {
	*options

	decision v1alpha1.ReviewDecision
}

func (a *answerer) command() *cobra.Command {
	c := &cobra.Command{
		Use: "approve NAME... [--reason TEXT]", Short: "Allow grants that wait for a person",
		Long: approveLong + "\n\n" + exit.Help(exit.Change()), Example: approveExample,
	}
	if a.decision != v1alpha1.ReviewApproved {
		c.Use, c.Short, c.Long, c.Example = "deny NAME... [--reason TEXT]", "Refuse grants that wait for a person", denyLong+"\n\n"+exit.Help(exit.Change()), denyExample
	}
	c.Args = cluster.Names("grant", "kubectl pullaccess grants --waiting lists those that wait")
	c.ValidArgsFunction = cluster.CompleteGrants(a.config, math.MaxInt, grantstatus.Waiting)
	c.RunE = a.run
	a.addFlags(c)
	return c
}

func (a *answerer) run(c *cobra.Command, names []string) error {
	if err := a.validate(); err != nil {
		return err
	}
	if err := a.begin(c.Context()); err != nil {
		return err
	}
	return a.each(c.Context(), names, func(name string) error {
		g, err := a.say(c.Context(), name, func(g *v1alpha1.PullAccessGrant) (v1alpha1.ReviewDecision, error) {
			return a.decision, refusal(g, a.clock.Now())
		})
		if err != nil {
			return err
		}
		return a.done(name, fmt.Sprintf("%s: %s, under policy %s%s", strings.ToLower(string(a.decision)), of(g), report.Clean(grantstatus.PolicyName(g)), a.dryRun.Said()))
	})
}

// refusal says why a grant cannot be approved or denied, nil if it can.
func refusal(g *v1alpha1.PullAccessGrant, now time.Time) error {
	review, state := g.Status.Review, report.Clean(grantstatus.State(g))
	switch {
	case g.DeletionTimestamp != nil:
		return errors.New("it is being deleted")
	case grantstatus.Waiting(g) && g.Status.Proposal != nil && !now.Before(g.Status.Proposal.LapseTime.Time):
		return fmt.Errorf("it has lapsed: nobody answered by %s; a pod that is made after that asks anew", stamp(g.Status.Proposal.LapseTime.Time))
	case grantstatus.Waiting(g):
		return nil
	case review != nil && !stale(g):
		return fmt.Errorf("it was already %s by %s%s", strings.ToLower(string(review.Decision)), report.Clean(review.User), because(review.Reason))
	case grantstatus.Ended(g):
		return fmt.Errorf("it is not waiting for approval: it has ended (%s) at %s", state, stamp(g.Status.EndedTime.Time))
	case enforced(g):
		return fmt.Errorf("it is not waiting for approval, and needs none: policy %s is in mode Enforce (it is %s)", report.Clean(grantstatus.PolicyName(g)), state)
	default:
		return fmt.Errorf("it is not waiting for approval: it is %s", state)
	}
}

// stale tells whether a grant has come to another end than the word that was said of it.
func stale(g *v1alpha1.PullAccessGrant) bool {
	return grantstatus.Ended(g) && grantstatus.State(g) != string(g.Status.Review.Decision)
}

func enforced(g *v1alpha1.PullAccessGrant) bool {
	approved := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionApproved)
	return approved != nil && approved.Reason == v1alpha1.ReasonPolicyEnforces
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + report.Clean(reason) + ")"
}
