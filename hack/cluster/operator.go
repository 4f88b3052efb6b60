// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"path/filepath"
)

// OperatorName and OperatorNamespace are what config/default calls the operator's parts.
const (
	OperatorName      = "pull-access-operator"
	OperatorNamespace = "pull-access-system"
)

// InstallOperator does what users do to install the operator of the project at root, and then takes its pods away: who starts a
// cluster here runs the operator as a process.
func (c *Cluster) InstallOperator(ctx context.Context, root string) error {
	for _, arguments := range [][]string{
		{"apply", "--server-side", "-k", filepath.Join(root, "config", "default")},
		{"scale", "deployment", OperatorName, "--namespace=" + OperatorNamespace, "--replicas=0"},
		{
			"wait", "crd", "--for=condition=Established", "--timeout=60s",
			"pullaccesspolicies.pullaccess.dev", "pullaccessgrants.pullaccess.dev",
		},
	} {
		if _, err := c.Kubectl(ctx, arguments...); err != nil {
			return err
		}
	}
	return nil
}
