// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package grants is the verb that shows grants: which there are and why, since and
// until when, all that is on record of one, and how to declare what they give. It
// changes nothing.
package grants

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/declaration"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

type options struct {
	genericiooptions.IOStreams

	clock   clock.PassiveClock
	config  *genericclioptions.ConfigFlags
	connect func() (client.Client, error)
	output  string
	policy  string
	waiting bool
}

const long = `Show the grants: who may read which repository, where that stands, why it was
asked for, since and until when, when it was last used, and how many of the
workloads that waited for it have recovered.

With NAME all that is on record of one: its conditions, its workloads, what has
happened to it and by whom, and what can be done next.

With -o terraform, config-connector, crossplane or gcloud the declaration that
makes the access last without the operator. Without NAME those that are in force
are declared, and those that somebody else has taken out.

Nothing is written.`

const example = `  # All of them, and those that wait for a person
  kubectl pullaccess grants
  kubectl pullaccess grants --waiting

  # The whole story of one
  kubectl pullaccess grants services.gke-nodes.0ac63ba03103a007

  # What a policy has opened, as Terraform
  kubectl pullaccess grants --policy prod-services -o terraform > pull_access.tf

  # The names of those that wait, for a script
  kubectl pullaccess grants --waiting -o json | jq -r '.grants[].name'`

// formats are those of reports and those of declarations.
func formats() []string { return append(report.Formats(), declaration.Formats()...) }

// NewCommand makes the verb.
func NewCommand(version string, config *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) *cobra.Command {
	o := &options{IOStreams: streams, clock: clock.RealClock{}, config: config}
	o.connect = func() (client.Client, error) { return cluster.Connect(config, streams.ErrOut, version) }
	return o.command()
}

func (o *options) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "grants [NAME] [-o FORMAT] [--policy POLICY] [--waiting]",
		Aliases:           []string{"grant"},
		Short:             "Show the grants, and the whole story of one",
		Long:              long + "\n\n" + exit.Help(exit.Grants()),
		Example:           example,
		Args:              atMostOne,
		ValidArgsFunction: cluster.CompleteGrants(o.config, 1, nil),
		RunE:              o.run,
	}
	flags := c.Flags()
	flags.StringVarP(&o.output, "output", "o", report.Table, "Output format. One of: ("+strings.Join(formats(), ", ")+").")
	flags.StringVar(&o.policy, "policy", "", "Only grants that are asked for under this policy, or that its pods use.")
	flags.BoolVar(&o.waiting, "waiting", false, "Only grants that wait for a person to approve or deny them.")
	// They fail only for a flag that is not there.
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("policy", cluster.CompletePolicies(o.config, 1, nil))
	return c
}

func atMostOne(_ *cobra.Command, arguments []string) error {
	if len(arguments) < 2 {
		return nil
	}
	return fmt.Errorf("%d arguments, want at most one: the NAME of a grant", len(arguments))
}

func (o *options) run(c *cobra.Command, arguments []string) error {
	if err := report.CheckFormat(o.output, formats()); err != nil {
		return err
	}
	if len(arguments) == 1 && (o.policy != "" || o.waiting) {
		return errors.New("NAME is one grant: give it without --policy and --waiting")
	}
	grants, err := o.read(c, arguments)
	if err != nil {
		return cluster.Hinted(o.config, err)
	}
	if slices.Contains(declaration.Formats(), o.output) {
		return o.declare(grants, len(arguments) == 1)
	}
	now, forPeople := o.clock.Now(), o.output == report.Table || o.output == report.Wide
	switch {
	case forPeople && len(arguments) == 1:
		_, err = fmt.Fprint(o.Out, describe(&grants[0], now))
		return err
	case forPeople && len(grants) == 0:
		_, err = fmt.Fprintln(o.ErrOut, o.nothing())
		return err
	}
	return write(o.Out, newDocument(grants, now), o.output, now)
}

func (o *options) read(c *cobra.Command, arguments []string) ([]v1alpha1.PullAccessGrant, error) {
	reader, err := o.connect()
	if err != nil {
		return nil, err
	}
	if len(arguments) == 1 {
		var g v1alpha1.PullAccessGrant
		err := cluster.Get(c.Context(), reader, arguments[0], &g)
		return []v1alpha1.PullAccessGrant{g}, err
	}
	return cluster.Grants(c.Context(), reader, o.chosen)
}

// chosen tells whether the flags choose the grant.
func (o *options) chosen(g *v1alpha1.PullAccessGrant) bool {
	return (o.policy == "" || slices.Contains(policies(g), o.policy)) && (!o.waiting || grantstatus.Waiting(g))
}

// policies are those under which the grant is asked for and used.
func policies(g *v1alpha1.PullAccessGrant) []string {
	all := []string{grantstatus.PolicyName(g)}
	for i := range g.Status.Workloads {
		all = append(all, g.Status.Workloads[i].Policy)
	}
	return all
}

// nothing says that there is nothing to show.
func (o *options) nothing() string {
	said := "No grant"
	if o.waiting {
		said += " waits for approval"
	} else {
		said += " was found"
	}
	if o.policy != "" {
		said += " under policy " + report.Clean(o.policy)
	}
	return said + "."
}

// declare writes the grants in another language. Of a list those that have ended
// or are not written are left out: their access is not there to be kept.
func (o *options) declare(grants []v1alpha1.PullAccessGrant, one bool) error {
	wanted := grants
	if !one {
		wanted = slices.DeleteFunc(slices.Clone(grants), func(g v1alpha1.PullAccessGrant) bool {
			return !grantstatus.Granted(&g) && grantstatus.State(&g) != string(v1alpha1.EndRemovedExternally)
		})
		if left := len(grants) - len(wanted); left > 0 {
			fmt.Fprintf(o.ErrOut, "Left out: %s not in force; name one to have it declared.\n", report.Count(left, "grant"))
		}
	}
	text, err := declaration.Of(wanted, o.output)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(o.Out, text)
	return err
}
