// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pause has the verbs that stop a policy for a while, and let it go on. They
// write spec.pause of the policy and nothing else.
package pause

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
)

const pauseLong = `Stop what is new under policies: while one is paused nothing is granted and nothing
is restarted under it. What was granted stays, and ends as it would.

A policy that is paused already keeps the reason that it has. It takes patch on
pullaccesspolicies.`

const pauseExample = `  kubectl pullaccess pause prod-services --reason "registry moves tonight"`

const resumeLong = `Let paused policies go on. What waits is granted and restarted then, as far as the
policy allows.

It takes patch on pullaccesspolicies.`

const resumeExample = `  kubectl pullaccess resume prod-services`

type options struct {
	genericiooptions.IOStreams

	config  *genericclioptions.ConfigFlags
	connect func() (client.Client, error)
	reason  cluster.Reason
	dryRun  cluster.DryRun
	client  client.Client
}

// NewPauseCommand makes the verb that stops policies.
func NewPauseCommand(version string, config *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) *cobra.Command {
	return newOptions(version, config, streams).pauseCommand()
}

// NewResumeCommand makes the verb that lets them go on.
func NewResumeCommand(version string, config *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) *cobra.Command {
	return newOptions(version, config, streams).resumeCommand()
}

func newOptions(version string, config *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) *options {
	return &options{IOStreams: streams, config: config, connect: func() (client.Client, error) {
		return cluster.Connect(config, streams.ErrOut, version)
	}}
}

func paused(p *v1alpha1.PullAccessPolicy) bool  { return p.Spec.Pause != nil }
func resumed(p *v1alpha1.PullAccessPolicy) bool { return p.Spec.Pause == nil }

func (o *options) pauseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:               "pause POLICY... --reason TEXT",
		Short:             "Stop what is new under policies",
		Long:              pauseLong + "\n\n" + exit.Help(exit.Change()),
		Example:           pauseExample,
		Args:              cluster.Names("policy", "kubectl get pullaccesspolicies lists them"),
		ValidArgsFunction: cluster.CompletePolicies(o.config, math.MaxInt, resumed),
		RunE:              o.runPause,
	}
	o.reason.AddFlag(c, "Why, for whoever finds it paused.")
	o.dryRun.AddFlag(c)
	return c
}

func (o *options) resumeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:               "resume POLICY...",
		Short:             "Let paused policies go on",
		Long:              resumeLong + "\n\n" + exit.Help(exit.Change()),
		Example:           resumeExample,
		Args:              cluster.Names("policy", "kubectl get pullaccesspolicies lists them"),
		ValidArgsFunction: cluster.CompletePolicies(o.config, math.MaxInt, paused),
		RunE:              o.runResume,
	}
	o.dryRun.AddFlag(c)
	return c
}

func (o *options) runPause(c *cobra.Command, names []string) error {
	if strings.TrimSpace(o.reason.Text) == "" {
		return errors.New("give --reason TEXT: whoever finds the policy paused will ask why")
	}
	if err := o.reason.Validate(); err != nil {
		return err
	}
	return o.each(c.Context(), names, o.pause)
}

func (o *options) runResume(c *cobra.Command, names []string) error {
	return o.each(c.Context(), names, o.resume)
}

// pause sets the reason on a policy that has none, and says what it did.
func (o *options) pause(p *v1alpha1.PullAccessPolicy) string {
	if paused(p) {
		return fmt.Sprintf("is already paused (%s)", report.Clean(p.Spec.Pause.Reason))
	}
	p.Spec.Pause = &v1alpha1.PauseSpec{Reason: o.reason.Text}
	return "paused"
}

func (o *options) resume(p *v1alpha1.PullAccessPolicy) string {
	if resumed(p) {
		return "is not paused"
	}
	why := p.Spec.Pause.Reason
	p.Spec.Pause = nil
	return fmt.Sprintf("resumed (it was paused: %s)", report.Clean(why))
}

// each changes the policies one by one; what fails is said.
func (o *options) each(ctx context.Context, names []string, change func(*v1alpha1.PullAccessPolicy) string) error {
	err := o.dryRun.Validate()
	if err != nil {
		return err
	}
	if o.client, err = o.connect(); err != nil {
		return err
	}
	return cluster.EachNamed(ctx, o.config, o.ErrOut, names, func(name string) error {
		return cluster.Named(report.Clean(name), o.change(ctx, name, change))
	})
}

// change writes what it changes for the policy as it was read, and reads it anew when
// somebody else has written in between.
func (o *options) change(ctx context.Context, name string, change func(*v1alpha1.PullAccessPolicy) string) error {
	for range cluster.Attempts {
		p := &v1alpha1.PullAccessPolicy{}
		if err := cluster.Get(ctx, o.client, name, p); err != nil {
			return err
		}
		before := p.DeepCopy()
		what := change(p)
		if paused(before) != paused(p) {
			err := o.client.Patch(ctx, p, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), o.dryRun.Patch()...)
			if apierrors.IsConflict(err) {
				continue
			}
			if err != nil {
				return cluster.Missing(err)
			}
			what += o.dryRun.Said()
		}
		_, err := fmt.Fprintf(o.Out, "pullaccesspolicy.pullaccess.dev/%s %s\n", report.Clean(name), what)
		return err
	}
	return cluster.ErrContended
}
