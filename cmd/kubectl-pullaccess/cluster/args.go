// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// Names refuses a call that names no object, or one twice. hint says where the
// names of a kind are to be found.
func Names(kind, hint string) cobra.PositionalArgs {
	return func(_ *cobra.Command, names []string) error {
		if len(names) == 0 {
			return fmt.Errorf("give the NAME of a %s: %s", kind, hint)
		}
		return Unique(names)
	}
}

// Unique refuses names of which one is empty, or there twice.
func Unique(names []string) error {
	for i, name := range names {
		switch {
		case name == "":
			return fmt.Errorf("NAME %d of %d is empty", i+1, len(names))
		case slices.Contains(names[:i], name):
			return fmt.Errorf("%q is named twice", name)
		}
	}
	return nil
}
