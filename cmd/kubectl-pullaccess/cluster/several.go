// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
)

// Attempts is how often an object is read and written anew when somebody else has
// written to it in between.
const Attempts = 5

// ErrContended is what is said of an object when all attempts were in vain.
var ErrContended = exit.Unreached(errors.New("others keep writing to it: try again"))

// EachNamed does the same to each of the names, and do says in its error which it is
// about. What fails is said at once and does not keep the others from being done,
// unless the cluster is out of reach.
func EachNamed(ctx context.Context, config *genericclioptions.ConfigFlags, errOut io.Writer, names []string, do func(name string) error) error {
	var all []error
	for i, name := range names {
		err := Hinted(config, do(name))
		if err == nil {
			continue
		}
		all = append(all, err)
		if ctx.Err() != nil {
			break // Interrupted: whoever asked is told how far it came.
		}
		fmt.Fprintf(errOut, "error: %v\n", err)
		if left := len(names) - i - 1; left > 0 && outOfReach(err) {
			fmt.Fprintf(errOut, "Not asked for: %d more.\n", left)
			break
		}
	}
	return exit.Said(errors.Join(all...))
}

// outOfReach tells a cluster that does not answer from one that refuses this one
// object: who may not touch it may be allowed the next, by its name.
func outOfReach(err error) bool {
	return exit.Code(err) == exit.Unreachable && !Refused(err) && !errors.Is(err, ErrContended)
}

// maxReason is how long a reason may be, as the kinds' schemas have it.
const maxReason = 256

// Reason is the flag by which a person says why.
type Reason struct{ Text string }

// AddFlag gives a verb the flag.
func (r *Reason) AddFlag(c *cobra.Command, usage string) {
	c.Flags().StringVar(&r.Text, "reason", "", usage)
	_ = c.RegisterFlagCompletionFunc("reason", cobra.NoFileCompletions) // It fails only for a flag that is not there.
}

// Validate refuses what does not fit on record.
func (r *Reason) Validate() error {
	if n := utf8.RuneCountInString(r.Text); n > maxReason {
		return fmt.Errorf("--reason has %d characters, want at most %d", n, maxReason)
	}
	return nil
}
