// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package review has the verbs by which a person's word is put on a grant:
// approve, deny and revoke. It writes that word and nothing else; the operator acts
// on it, and the API server sees to it that nobody speaks for another.
package review

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
)

// options are what all three verbs have.
type options struct {
	genericiooptions.IOStreams

	clock   clock.PassiveClock
	config  *genericclioptions.ConfigFlags
	connect func() (client.Client, error)
	reason  cluster.Reason
	dryRun  cluster.DryRun

	client client.Client
	// user is how the API server calls whoever asks; it is asked once.
	user string
}

func newOptions(version string, config *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) *options {
	return &options{IOStreams: streams, clock: clock.RealClock{}, config: config, connect: func() (client.Client, error) {
		return cluster.Connect(config, streams.ErrOut, version)
	}}
}

func (o *options) addFlags(c *cobra.Command) {
	o.reason.AddFlag(c, "Why, in your own words; it goes on record.")
	o.dryRun.AddFlag(c)
}

func (o *options) validate() error {
	if err := o.reason.Validate(); err != nil {
		return err
	}
	return o.dryRun.Validate()
}

// begin connects, and asks the API server who is speaking.
func (o *options) begin(ctx context.Context) error {
	var err error
	if o.client, err = o.connect(); err != nil {
		return err
	}
	review := &authenticationv1.SelfSubjectReview{}
	if err := o.client.Create(ctx, review); err != nil {
		return cluster.Hinted(o.config, cluster.Unreached(fmt.Errorf("ask the cluster who you are: %w", err)))
	}
	if o.user = review.Status.UserInfo.Username; o.user == "" {
		return exit.Unreached(errors.New("ask the cluster who you are: it names no user, so no word of yours can be put on record"))
	}
	return nil
}

// errMoved says that a grant has become another request than the one that was looked at.
var errMoved = errors.New("it was asked for anew meanwhile, maybe under a changed policy: look at it again with kubectl pullaccess grants")

// say writes what decide has decided on the grant as it then is, and returns the
// grant. It holds only for the grant that decide has seen: when somebody writes in
// between, decide is asked again, and what has been proposed anew is not decided at all.
func (o *options) say(ctx context.Context, name string, decide func(*v1alpha1.PullAccessGrant) (v1alpha1.ReviewDecision, error)) (*v1alpha1.PullAccessGrant, error) {
	var first *v1alpha1.Proposal
	for attempt := range cluster.Attempts {
		g := &v1alpha1.PullAccessGrant{}
		if err := cluster.Get(ctx, o.client, name, g); err != nil {
			return nil, err
		}
		if attempt == 0 {
			first = g.Status.Proposal.DeepCopy()
		} else if !equality.Semantic.DeepEqual(first, g.Status.Proposal) {
			return nil, errMoved
		}
		decision, err := decide(g)
		if err != nil {
			return g, err
		}
		err = o.write(ctx, g, decision)
		if !apierrors.IsConflict(err) {
			return g, cluster.Missing(err)
		}
	}
	return nil, cluster.ErrContended
}

// write puts the word on the grant as it was read.
func (o *options) write(ctx context.Context, g *v1alpha1.PullAccessGrant, decision v1alpha1.ReviewDecision) error {
	before := g.DeepCopy()
	g.Status.Review = &v1alpha1.Review{Decision: decision, User: o.user, Reason: o.reason.Text}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return o.client.Status().Patch(ctx, g, patch, o.dryRun.SubResource()...)
}

// done says what has become of a grant, as kubectl does.
func (o *options) done(name, what string) error {
	_, err := fmt.Fprintf(o.Out, "pullaccessgrant.pullaccess.dev/%s %s\n", report.Clean(name), what)
	return err
}

// each does the same to each of the names; what fails is said.
func (o *options) each(ctx context.Context, names []string, do func(name string) error) error {
	return cluster.EachNamed(ctx, o.config, o.ErrOut, names, func(name string) error { return cluster.Named(report.Clean(name), do(name)) })
}

// of says who is granted what, and for whom.
func of(g *v1alpha1.PullAccessGrant) string {
	r, w := g.Spec.Repository, g.Spec.Workload
	account, ok := v1alpha1.EmailOf(g.Spec.Member)
	if !ok {
		account = g.Spec.Member
	}
	return report.Clean(fmt.Sprintf("%s on %s/%s/%s, for %s %s/%s", account, r.Project, r.Location, r.Name, w.Kind, w.Namespace, w.Name))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
