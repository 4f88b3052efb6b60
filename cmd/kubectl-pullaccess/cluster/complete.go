// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// CompletionTimeout is how long a person waits for a completion at the most.
const CompletionTimeout = 3 * time.Second

// CompleteGrants offers the names of grants that keep accepts, up to most of them
// for one call, and none twice. What cannot be read is not offered.
func CompleteGrants(config *genericclioptions.ConfigFlags, most int, keep func(*v1alpha1.PullAccessGrant) bool) cobra.CompletionFunc {
	return completer{config, most, func(ctx context.Context, reader client.Reader) (names []string) {
		grants, err := Grants(ctx, reader, keep)
		if err != nil {
			return nil
		}
		for i := range grants {
			names = append(names, grants[i].Name)
		}
		return names
	}}.complete
}

// CompletePolicies does so for the policies.
func CompletePolicies(config *genericclioptions.ConfigFlags, most int, keep func(*v1alpha1.PullAccessPolicy) bool) cobra.CompletionFunc {
	return completer{config, most, func(ctx context.Context, reader client.Reader) (names []string) {
		policies, err := Policies(ctx, reader)
		if err != nil {
			return nil
		}
		for i := range policies {
			if keep == nil || keep(&policies[i]) {
				names = append(names, policies[i].Name)
			}
		}
		return names
	}}.complete
}

// completer offers names that list reads.
type completer struct {
	config *genericclioptions.ConfigFlags
	most   int
	list   func(context.Context, client.Reader) []string
}

func (f completer) complete(c *cobra.Command, arguments []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(arguments) >= f.most {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	reader, err := Connect(f.config, io.Discard, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(c.Context(), CompletionTimeout)
	defer cancel()
	offers := slices.DeleteFunc(f.list(ctx, reader), func(name string) bool { return slices.Contains(arguments, name) })
	return offers, cobra.ShellCompDirectiveNoFileComp
}
