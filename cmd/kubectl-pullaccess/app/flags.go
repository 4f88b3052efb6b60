// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"flag"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/explain"
)

// addFlags gives all verbs the flags by which kubectl finds a cluster, and that by
// which it shows its requests.
func addFlags(ctx context.Context, root *cobra.Command, config *genericclioptions.ConfigFlags) {
	config.AddFlags(root.PersistentFlags())
	addVerbosity(root.PersistentFlags())
	complete := func(flag string, offer func() []string) {
		// It fails only for a flag that is not there.
		_ = root.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return offer(), cobra.ShellCompDirectiveNoFileComp
		})
	}
	// A kubeconfig that cannot be read offers nothing.
	raw := func() api.Config {
		found, err := config.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return api.Config{}
		}
		return found
	}
	complete("namespace", func() []string { return explain.Namespaces(ctx, config) })
	complete("context", func() []string { return slices.Sorted(maps.Keys(raw().Contexts)) })
	complete("cluster", func() []string { return slices.Sorted(maps.Keys(raw().Clusters)) })
	complete("user", func() []string { return slices.Sorted(maps.Keys(raw().AuthInfos)) })
}

// addVerbosity takes -v as kubectl does: client-go logs its requests by klog. Since
// the letter is taken, --version has none.
func addVerbosity(flags *pflag.FlagSet) {
	var all flag.FlagSet
	klog.InitFlags(&all)
	flags.AddGoFlag(all.Lookup("v"))
}

func newOptionsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:                   "options",
		Short:                 "List the flags by which all commands find the cluster",
		Args:                  cobra.NoArgs,
		ValidArgsFunction:     cobra.NoFileCompletions,
		DisableFlagsInUseLine: true,
		RunE:                  func(c *cobra.Command, _ []string) error { return c.Usage() },
	}
	c.SetUsageTemplate(optionsUsage)
	c.SetHelpTemplate(optionsUsage)
	return c
}

const optionsUsage = `The following options can be passed to any command:

{{.InheritedFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}
`

// usage orders a command's help as kubectl does, with the usage last. The flags
// that all commands have are listed by a command of their own.
const usage = `{{if .HasExample}}Examples:
{{.Example}}

{{end}}{{if .HasAvailableSubCommands}}Available Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}

{{end}}{{if .HasAvailableLocalFlags}}Options:
{{.LocalNonPersistentFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}

{{end}}Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}

{{if .HasAvailableSubCommands}}Use "{{.CommandPath}} COMMAND --help" for more about a command.
{{end}}Use "{{.Root.CommandPath}} options" for the flags that all commands have, such as --context and --namespace.
`
