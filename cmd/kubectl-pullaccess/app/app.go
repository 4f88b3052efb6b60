// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app is the command line's frame: the verbs, help, completion, and how
// it ends.
package app

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/audit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/classify"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/explain"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/grants"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/pause"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/review"
)

// name is how people call the program.
const name = "kubectl pullaccess"

const long = `Tell why pods cannot pull their images, whether an IAM grant can help, and who
must do what; and work with the grants and policies of pull-access-operator.

approve, deny, revoke, pause and resume write to the cluster, to grants and
policies alone; the operator acts on that. All else writes nothing, and nothing is
ever written to the cloud.`

// Run runs the command line of arguments, the program's own name first, and
// returns the exit code.
func Run(ctx context.Context, arguments []string, version string, streams genericiooptions.IOStreams) int {
	root := newCommand(ctx, version, streams)
	root.SetArgs(withCompletion(arguments))
	understood := false
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	ran, err := root.ExecuteContextC(ctx)
	if !exit.Silent(err) {
		// Nothing is left to do where even this cannot be written.
		_, _ = fmt.Fprintf(streams.ErrOut, "error: %v\n", err)
		if !understood {
			_, _ = fmt.Fprintf(streams.ErrOut, "See '%s --help' for usage.\n", ran.CommandPath())
		}
	}
	return exit.Code(err)
}

// withCompletion lets the program stand in for kubectl_complete-pullaccess, by
// which kubectl asks a plugin for completions: a link of that name suffices.
func withCompletion(arguments []string) []string {
	if len(arguments) == 0 {
		return nil
	}
	if strings.HasPrefix(filepath.Base(arguments[0]), "kubectl_complete-") {
		return append([]string{cobra.ShellCompRequestCmd}, arguments[1:]...)
	}
	return arguments[1:]
}

func newCommand(ctx context.Context, version string, streams genericiooptions.IOStreams) *cobra.Command {
	root := &cobra.Command{
		Use:               "kubectl-pullaccess",
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: name},
		Short:             "Tell why pods cannot pull their images, and work with grants",
		Long:              long + "\n\n" + exit.Help(exit.Any()),
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetUsageTemplate(usage)
	root.SetVersionTemplate("{{.Version}}\n")
	config := genericclioptions.NewConfigFlags(true)
	addFlags(ctx, root, config)
	root.AddCommand(
		explain.NewCommand(version, config, streams),
		audit.NewCommand(version, config, streams),
		classify.NewCommand(streams),
		grants.NewCommand(version, config, streams),
		review.NewApproveCommand(version, config, streams),
		review.NewDenyCommand(version, config, streams),
		review.NewRevokeCommand(version, config, streams),
		pause.NewPauseCommand(version, config, streams),
		pause.NewResumeCommand(version, config, streams),
		newOptionsCommand(),
		newVersionCommand(version),
	)
	return root
}

func newVersionCommand(version string) *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), version)
			return err
		},
	}
}
