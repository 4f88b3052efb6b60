// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

const revokeLong = `Take grants back: the operator takes the member out of the repository's policy.
The record stays, and the same access is not asked for again until it is deleted
with kubectl delete pullaccessgrant NAME. What is not written yet, since a limit
holds it or Google refuses, will not be. What waits for approval is denied.

A member stays where it is if the operator found it there, or if the policy says
that several clusters use the account.

With --all it shows first what would become of each grant, and asks. Other access
can be asked for all the same while policies are in force: pause them before.

It waits until the grants have ended. When it is interrupted, or does not wait any
longer, the operator goes on; when Google refuses, it says why and how to go on.

It takes the verb revoke on pullaccessgrants (approve for what waits), and patch on
pullaccessgrants/status.`

const revokeExample = `  # One
  kubectl pullaccess revoke services.gke-nodes.0ac63ba03103a007 --reason "moved away"

  # All that one policy has opened
  kubectl pullaccess revoke --all --policy prod-services

  # Everything, before the operator is uninstalled
  kubectl pullaccess pause prod-services prod-web --reason uninstall
  kubectl pullaccess revoke --all --yes --timeout 15m`

// revoker is the verb that takes grants back.
type revoker struct {
	*options

	all, yes, wait bool
	policy         string
	timeout        time.Duration
	// terminal tells whether there is somebody to ask.
	terminal func() bool
	// sleep waits for so long, or until the context ends.
	sleep func(context.Context, time.Duration)
}

// NewRevokeCommand makes the verb.
func NewRevokeCommand(version string, config *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) *cobra.Command {
	r := &revoker{options: newOptions(version, config, streams), sleep: sleep}
	r.terminal = func() bool { return printers.IsTerminal(streams.In) }
	return r.command()
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (r *revoker) command() *cobra.Command {
	c := &cobra.Command{
		Use:     "revoke NAME... | --all [--policy POLICY] [--reason TEXT] [--yes]",
		Short:   "Take grants back",
		Long:    revokeLong + "\n\n" + exit.Help(exit.Revoke()),
		Example: revokeExample,
		Args: func(_ *cobra.Command, names []string) error {
			return cluster.Unique(names)
		},
		ValidArgsFunction: cluster.CompleteGrants(r.config, math.MaxInt, func(g *v1alpha1.PullAccessGrant) bool { return !grantstatus.Ended(g) }),
		RunE:              r.run,
	}
	flags := c.Flags()
	flags.BoolVar(&r.all, "all", false, "Take all grants back, after a question.")
	flags.StringVar(&r.policy, "policy", "", "With --all: only those that are asked for under this policy.")
	flags.BoolVarP(&r.yes, "yes", "y", false, "With --all: do not ask.")
	flags.BoolVar(&r.wait, "wait", true, "Wait until they have ended.")
	flags.DurationVar(&r.timeout, "timeout", 5*time.Minute, "How long to wait in all; the operator goes on after that.")
	r.addFlags(c)
	// It fails only for a flag that is not there.
	_ = c.RegisterFlagCompletionFunc("policy", cluster.CompletePolicies(r.config, 1, nil))
	return c
}

func (r *revoker) run(c *cobra.Command, names []string) error {
	if err := r.refuse(names); err != nil {
		return err
	}
	if err := r.begin(c.Context()); err != nil {
		return err
	}
	if r.all {
		chosen, err := r.choose(c.Context())
		if err != nil || len(chosen) == 0 {
			return err
		}
		names = chosen
	}
	// From here on Ctrl-C has something to tell.
	ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return r.takeBack(ctx, names)
}

// refuse says what is wrong with the call.
func (r *revoker) refuse(names []string) error {
	switch {
	case r.all && len(names) > 0:
		return errors.New("give NAME or --all, not both")
	case !r.all && len(names) == 0:
		return errors.New("give the NAME of a grant, or --all: kubectl pullaccess grants lists them")
	case !r.all && r.policy != "":
		return errors.New("--policy chooses among --all: add --all, or give NAME alone")
	case r.timeout <= 0:
		return fmt.Errorf("--timeout is %s: give a duration above 0, or --wait=false", r.timeout)
	}
	if err := r.validate(); err != nil {
		return err
	}
	if r.all && !r.yes && !r.dryRun.On() && !r.terminal() {
		return errors.New("--all asks before it takes anything back, and the standard input is no terminal: add --yes")
	}
	return nil
}

// choose lists what --all means, shows what becomes of it, and asks.
func (r *revoker) choose(ctx context.Context) ([]string, error) {
	grants, err := cluster.Grants(ctx, r.client, func(g *v1alpha1.PullAccessGrant) bool {
		return !grantstatus.Ended(g) && (r.policy == "" || grantstatus.PolicyName(g) == r.policy)
	})
	if err != nil {
		return nil, cluster.Hinted(r.config, err)
	}
	r.warn(ctx)
	if len(grants) == 0 {
		_, err := fmt.Fprintf(r.Out, "No grant%s is there to be taken back.\n", r.under())
		return nil, err
	}
	summarise(r.ErrOut, grants, r.under(), r.policy != "")
	if !r.yes && !r.dryRun.On() && !r.confirmed(len(grants)) {
		return nil, errors.New("nothing was taken back: the question was not answered with y")
	}
	var names []string
	for i := range grants {
		names = append(names, grants[i].Name)
	}
	return names, nil
}

func (r *revoker) under() string {
	if r.policy == "" {
		return ""
	}
	return " of policy " + report.Clean(r.policy)
}

// confirmed asks whoever is at the terminal.
func (r *revoker) confirmed(n int) bool {
	fmt.Fprintf(r.ErrOut, "Take back %s? [y/N] ", report.Count(n, "grant"))
	line, _ := bufio.NewReader(r.In).ReadString('\n') // What cannot be read is no yes.
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}

// warn names the policies under which other access can still be asked for.
func (r *revoker) warn(ctx context.Context) {
	policies, err := cluster.Policies(ctx, r.client)
	if err != nil {
		fmt.Fprintf(r.ErrOut, "Note: whether policies are in force, and other access can be asked for, is not known: %v\n", err)
		return
	}
	var names []string
	for i := range policies {
		p := &policies[i]
		acts := p.Spec.Mode == v1alpha1.ModeEnforce || p.Spec.Mode == v1alpha1.ModeApprove
		if acts && p.Spec.Pause == nil && (r.policy == "" || p.Name == r.policy) {
			names = append(names, report.Clean(p.Name))
		}
	}
	if len(names) == 0 {
		return
	}
	what := "Policy " + names[0] + " is in force"
	if len(names) > 1 {
		what = "Policies " + strings.Join(names, ", ") + " are in force"
	}
	fmt.Fprintf(r.ErrOut, "Note: %s. What is taken back is not asked for again, but pods that cannot pull can ask for other access. To stop that first:\n  kubectl pullaccess pause %s --reason TEXT\n",
		what, strings.Join(names, " "))
}
