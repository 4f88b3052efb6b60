// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit is the verb that shows who can read the repositories that policies
// name, what of that the operator has added, and what in it is worth a look.
package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/audit"
	"github.com/pull-access/pull-access-operator/internal/gcp"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

type options struct {
	genericiooptions.IOStreams

	version      string
	config       *genericclioptions.ConfigFlags
	repositories []string
	output       string
	cloudTimeout time.Duration
	gcpEndpoint  string
}

const long = `Show who can read the repositories that PullAccessPolicies name: each principal,
the role and the level at which it is bound, and whether the operator has added it.
Below that stands what is worth a look, with a command to paste where one helps.

The cluster is read with your kubeconfig, Google Cloud with your Application
Default Credentials. What cannot be read is listed as not known. Access that comes
from folders or the organization, members of groups and deny policies are not
looked at.`

const example = `  # All repositories that the cluster's policies and grants name
  kubectl pullaccess audit

  # One repository, whether a policy names it or not
  kubectl pullaccess audit --repository=acme-images-306/us-central1/services

  # For a spreadsheet, and for a pipeline that is to fail on findings
  kubectl pullaccess audit -o csv > readers.csv
  kubectl pullaccess audit -o json | jq -r '.findings[] | [.reason, .sentence] | @tsv'`

// NewCommand makes the verb.
func NewCommand(version string, config *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) *cobra.Command {
	o := &options{IOStreams: streams, version: version, config: config}
	c := &cobra.Command{
		Use:               "audit [--repository PROJECT/LOCATION/NAME] [-o FORMAT]",
		Short:             "Show who can read the repositories, and what is worth a look",
		Long:              long + "\n\n" + exit.Help(exit.Audit()),
		Example:           example,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	flags := c.Flags()
	flags.StringSliceVar(&o.repositories, "repository", nil, "PROJECT/LOCATION/NAME of a repository to look at, instead of those that policies and grants name; may be repeated.")
	flags.StringVarP(&o.output, "output", "o", report.Table, "Output format. One of: ("+strings.Join(formats(), ", ")+").")
	flags.DurationVar(&o.cloudTimeout, "cloud-timeout", time.Minute, "How long Google Cloud is asked in all; what is not answered by then is not known.")
	flags.StringVar(&o.gcpEndpoint, "gcp-endpoint", "", "URL that every Google API call goes to, without credentials; for tests.")
	// It fails only for a flag that is not there.
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func noArguments(_ *cobra.Command, arguments []string) error {
	if len(arguments) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q: a repository is given by --repository=PROJECT/LOCATION/NAME", arguments[0])
}

func (o *options) run(c *cobra.Command, _ []string) error {
	asked, err := o.settle()
	if err != nil {
		return err
	}
	cloud, err := gcp.New(c.Context(), gcp.Options{Endpoint: o.gcpEndpoint, UserAgent: "kubectl-pullaccess/" + o.version})
	if err != nil {
		return fmt.Errorf("--gcp-endpoint: %w", err)
	}
	reader, err := cluster.Connect(o.config, o.ErrOut, o.version)
	if err != nil {
		return err
	}
	facts, notes, err := fromCluster(c.Context(), reader, asked)
	if err != nil {
		return cluster.Hinted(o.config, err)
	}
	ctx, cancel := context.WithTimeout(c.Context(), o.cloudTimeout)
	defer cancel()
	notes = append(notes, fromCloud(ctx, cloud, &facts)...)
	d := newDocument(audit.Judge(facts), notes)
	if err := d.write(o.Out, o.output); err != nil {
		return err
	}
	if !d.clear() {
		return exit.ErrFindings
	}
	return nil
}

// settle checks the flags, and reads the repositories that are asked for.
func (o *options) settle() ([]imageref.Repository, error) {
	if err := report.CheckFormat(o.output, formats()); err != nil {
		return nil, err
	}
	if o.cloudTimeout <= 0 {
		return nil, errors.New("--cloud-timeout must be more than 0")
	}
	var asked []imageref.Repository
	for _, given := range o.repositories {
		var r imageref.Repository
		if parts := strings.Split(given, "/"); len(parts) == 3 {
			r = imageref.Repository{Project: parts[0], Location: parts[1], Name: parts[2]}
		}
		if !gcp.IsRepository(r) {
			return nil, fmt.Errorf("--repository: %q is not PROJECT/LOCATION/NAME, for example acme-images-306/us-central1/services", given)
		}
		if !slices.Contains(asked, r) {
			asked = append(asked, r)
		}
	}
	return asked, nil
}
