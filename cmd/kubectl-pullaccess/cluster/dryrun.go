// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// DryRun is kubectl's flag of that name, without its client side: only the API
// server knows whether a write would pass.
type DryRun struct{ mode string }

const (
	dryRunNone   = "none"
	dryRunServer = "server"
)

// AddFlag gives a verb the flag.
func (d *DryRun) AddFlag(c *cobra.Command) {
	c.Flags().StringVar(&d.mode, "dry-run", dryRunNone, `"none", or "server": have the API server judge the writes and keep none.`)
	// It fails only for a flag that is not there.
	_ = c.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{dryRunNone, dryRunServer}, cobra.ShellCompDirectiveNoFileComp))
}

// Validate refuses every other value.
func (d *DryRun) Validate() error {
	if d.mode != dryRunNone && d.mode != dryRunServer {
		return fmt.Errorf("--dry-run is %q, want none or server", d.mode)
	}
	return nil
}

// On tells whether nothing is to be kept. Every value but none keeps nothing.
func (d *DryRun) On() bool { return d.mode != dryRunNone }

// Said is what is added to what is said of a write.
func (d *DryRun) Said() string {
	if d.On() {
		return " (server dry run)"
	}
	return ""
}

// Patch are the options of a patch of an object.
func (d *DryRun) Patch() []client.PatchOption {
	if d.On() {
		return []client.PatchOption{client.DryRunAll}
	}
	return nil
}

// SubResource are those of a patch of its status.
func (d *DryRun) SubResource() []client.SubResourcePatchOption {
	if d.On() {
		return []client.SubResourcePatchOption{client.DryRunAll}
	}
	return nil
}
