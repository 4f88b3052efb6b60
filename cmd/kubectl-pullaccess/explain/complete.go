// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
)

// complete offers the pods that may be failing and the types, and after TYPE/ the
// workloads of that type. What cannot be read is not offered.
func (o *options) complete(c *cobra.Command, arguments []string, begun string) ([]string, cobra.ShellCompDirective) {
	const never = cobra.ShellCompDirectiveNoFileComp
	if len(arguments) > 0 || o.allNamespaces || len(o.files) > 0 {
		return nil, never
	}
	ctx, cancel := context.WithTimeout(c.Context(), cluster.CompletionTimeout)
	defer cancel()
	namespace, err := o.namespace()
	if err != nil {
		return nil, never
	}
	reader, err := cluster.Connect(o.config, o.ErrOut, o.version)
	if err != nil {
		return nil, never
	}
	if alias, _, typed := strings.Cut(begun, "/"); typed {
		var offers []string
		for _, name := range source.Names(ctx, reader, namespace, alias) {
			offers = append(offers, alias+"/"+name)
		}
		return offers, never
	}
	offers := source.Names(ctx, reader, namespace, "")
	for _, alias := range source.Types() {
		offers = append(offers, alias+"/")
	}
	return offers, never | cobra.ShellCompDirectiveNoSpace
}

// Namespaces lists the namespaces of the cluster, for completion; none where they
// cannot be read.
func Namespaces(ctx context.Context, config *genericclioptions.ConfigFlags) []string {
	reader, err := cluster.Connect(config, io.Discard, "")
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.CompletionTimeout)
	defer cancel()
	return source.Names(ctx, reader, "", "namespace")
}
