// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package explain is the verb that tells why pods cannot pull: it finds the
// failures, diagnoses them as the operator does, and shows what they have in common.
package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/outage"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/message"
)

type options struct {
	genericiooptions.IOStreams

	version         string
	clock           clock.PassiveClock
	config          *genericclioptions.ConfigFlags
	files           []string
	allNamespaces   bool
	selector        string
	output          string
	cloud           bool
	cloudTimeout    time.Duration
	gcpEndpoint     string
	gkeCluster      string
	troubleshoot    bool
	readPullSecrets bool

	// home is the GKE cluster that is looked at, as far as it is known.
	home diagnosis.Cluster
}

const long = `Tell why pods cannot pull their images: the reason, whether an IAM grant can
help, who must act, and what to do next.

Pods that fail for one reason are one row, whatever their number. Below the table
each reason has a sentence, a command to paste, what is not known, and a link.

The cluster is read with your kubeconfig, Google Cloud with your Application
Default Credentials; without them the facts of the cloud are listed as not known.
With -f nothing is asked but the file, unless --cloud is given.`

const example = `  # Everything that fails in the current namespace, and in all
  kubectl pullaccess explain
  kubectl pullaccess explain -A -o wide

  # One pod, and one workload
  kubectl pullaccess explain checkout-6d5f7c9b8-x2x7p
  kubectl pullaccess explain deployment/checkout -n shop

  # Offline, from what somebody has sent
  kubectl get pods,events,nodes,serviceaccounts -A -o json > cluster.json
  kubectl pullaccess explain -f cluster.json

  # What an administrator has to run in Google Cloud, without repetition
  kubectl pullaccess explain -A -o json |
    jq -r '.outages[].command | select(startswith("gcloud "))' | sort -u`

// NewCommand makes the verb.
func NewCommand(version string, config *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) *cobra.Command {
	o := &options{IOStreams: streams, version: version, clock: clock.RealClock{}, config: config}
	c := &cobra.Command{
		Use:               "explain [POD | TYPE/NAME] [-n NAMESPACE | -A] [-l SELECTOR] [-o FORMAT] [-f FILE|-]",
		Short:             "Tell why pods cannot pull, and what to do",
		Long:              long + "\n\n" + exit.Help(exit.Explain()),
		Example:           example,
		Args:              atMostOne,
		ValidArgsFunction: o.complete,
		RunE:              o.run,
	}
	flags := c.Flags()
	flags.StringSliceVarP(&o.files, "filename", "f", nil, "Files that kubectl get -o json or -o yaml wrote, instead of the cluster; - is the standard input.")
	flags.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Look at all namespaces.")
	flags.StringVarP(&o.selector, "selector", "l", "", "Selector (label query) of pods.")
	flags.StringVarP(&o.output, "output", "o", report.Table, "Output format. One of: ("+strings.Join(report.Formats(), ", ")+"). Wide has a row for each workload.")
	flags.BoolVar(&o.cloud, "cloud", false, "Ask Google Cloud. Unless it is set, a cluster is explained with it, and files are without.")
	flags.DurationVar(&o.cloudTimeout, "cloud-timeout", 20*time.Second, "How long Google Cloud is asked in all; what is not answered by then is not known.")
	flags.StringVar(&o.gkeCluster, "gke-cluster", "", "projects/PROJECT/locations/LOCATION/clusters/NAME, to ask GKE for node accounts that Compute Engine does not tell. Contexts made by gcloud name it.")
	flags.BoolVar(&o.troubleshoot, "policy-troubleshooter", false, "Ask Policy Troubleshooter too, which sees deny policies and inherited access.")
	flags.BoolVar(&o.readPullSecrets, "read-pull-secrets", false, "Read the pull secrets of failing pods, to tell whether they match and whose they are.")
	flags.StringVar(&o.gcpEndpoint, "gcp-endpoint", "", "URL that every Google API call goes to, without credentials; for tests.")
	// They fail only for a flag that is not there.
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func atMostOne(_ *cobra.Command, arguments []string) error {
	if len(arguments) < 2 {
		return nil
	}
	return fmt.Errorf("%d arguments, want at most one: POD or TYPE/NAME, for example %s/%s", len(arguments), arguments[0], arguments[1])
}

func (o *options) run(c *cobra.Command, arguments []string) error {
	cloud, err := o.settleCloud(c.Context(), c.Flags())
	if err != nil {
		return err
	}
	request, err := o.request(arguments)
	if err != nil {
		return err
	}
	snapshot, reader, err := o.snapshot(c, request)
	if err != nil {
		return cluster.Hinted(o.config, err)
	}
	found, err := o.findings(c.Context(), reader, cloud, &snapshot)
	if err != nil {
		return err
	}
	if !o.cloud {
		o.offerCloud(found, arguments)
	}
	document := report.New(outage.Group(found), snapshot.Notes)
	if err := report.Write(o.Out, document, o.output, report.Colored(o.Out)); err != nil {
		return err
	}
	if document.PodCount > 0 {
		return exit.ErrFailures
	}
	return nil
}

// findings explains the failures. Without credentials it explains them without the cloud.
func (o *options) findings(ctx context.Context, reader client.Reader, cloud facts.Cloud, snapshot *source.Snapshot) ([]outage.Finding, error) {
	if len(snapshot.Pods) == 0 {
		return nil, nil
	}
	grants, err := readRecords(ctx, reader)
	if err != nil {
		return nil, exit.Unreached(err)
	}
	f := finder{observer: o.observer(reader, cloud), snapshot: *snapshot, records: grants, offline: len(o.files) > 0, clock: o.clock}
	found, err := f.findings(ctx)
	lacks := func(of outage.Finding) bool { return of.Diagnosis.Facts.LacksCredentials() }
	if err != nil || !slices.ContainsFunc(found, lacks) {
		return found, err
	}
	snapshot.Notes = append(snapshot.Notes, message.CloudNotAsked)
	f.observer = o.observer(reader, nil)
	found, err = f.findings(ctx)
	offerLogin(found)
	return found, err
}

func (o *options) snapshot(c *cobra.Command, request source.Request) (source.Snapshot, client.Reader, error) {
	if len(o.files) > 0 {
		return source.Files(o.files, o.In, request)
	}
	reader, err := cluster.Connect(o.config, o.ErrOut, o.version)
	if err != nil {
		return source.Snapshot{}, nil, err
	}
	snapshot, err := source.Live(c.Context(), reader, request)
	return snapshot, reader, err
}

// request reads the flags and arguments together.
func (o *options) request(arguments []string) (source.Request, error) {
	var request source.Request
	var err error
	if err := report.CheckFormat(o.output, report.Formats()); err != nil {
		return request, err
	}
	if o.selector != "" {
		if request.Selector, err = labels.Parse(o.selector); err != nil {
			return request, fmt.Errorf("--selector: %w", err)
		}
	}
	if len(arguments) == 1 {
		if request.Target, err = source.ParseTarget(arguments[0]); err != nil {
			return request, err
		}
		switch {
		case o.allNamespaces:
			return request, fmt.Errorf("%s is in one namespace: give -n instead of -A", request.Target)
		case o.selector != "":
			return request, fmt.Errorf("give %s or --selector, not both", request.Target)
		}
	}
	request.Namespace, err = o.namespace()
	return request, err
}
