// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/outage"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/gcp"
	"github.com/pull-access/pull-access-operator/internal/message"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// cloudFlags mean something only where Google Cloud is asked.
var cloudFlags = []string{"cloud-timeout", "gke-cluster", "policy-troubleshooter", "gcp-endpoint"}

// settleCloud decides whether Google Cloud is asked, and makes what asks it; nil if
// it is not. All flags are checked, also those that are then of no use.
func (o *options) settleCloud(ctx context.Context, flags *pflag.FlagSet) (facts.Cloud, error) {
	if !flags.Changed("cloud") {
		o.cloud = len(o.files) == 0
	}
	if o.cloudTimeout <= 0 {
		return nil, errors.New("--cloud-timeout must be more than 0; --cloud=false asks nothing")
	}
	var err error
	if o.home, err = o.cluster(); err != nil {
		return nil, err
	}
	client, err := gcp.New(ctx, gcp.Options{
		Endpoint: o.gcpEndpoint, UserAgent: "kubectl-pullaccess/" + o.version, Cluster: o.home, Troubleshoot: o.troubleshoot,
	})
	if err != nil {
		return nil, fmt.Errorf("--gcp-endpoint: %w", err)
	}
	if o.cloud {
		return gcp.NewCached(client, o.clock), nil
	}
	for _, name := range cloudFlags {
		switch {
		case !flags.Changed(name):
		case flags.Changed("cloud"):
			return nil, fmt.Errorf("--%s is about Google Cloud, which --cloud=false does not ask: give one of both", name)
		default:
			return nil, fmt.Errorf("--%s is about Google Cloud, which is not asked with -f: add --cloud", name)
		}
	}
	return nil, nil
}

// contextName is how gcloud names the context of a GKE cluster.
var contextName = regexp.MustCompile(`^gke_([^_]+)_([^_]+)_([^_]+)$`)

// cluster is the GKE cluster that the flag names, or the name of the context.
func (o *options) cluster() (diagnosis.Cluster, error) {
	if o.gkeCluster != "" {
		cluster, err := gcp.ParseCluster(o.gkeCluster)
		if err != nil {
			return diagnosis.Cluster{}, fmt.Errorf("--gke-cluster: %w", err)
		}
		return cluster, nil
	}
	if len(o.files) > 0 {
		return diagnosis.Cluster{}, nil // The file need not be of the current context.
	}
	raw, err := o.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return diagnosis.Cluster{}, err
	}
	name := raw.CurrentContext
	if given(o.config.Context) {
		name = *o.config.Context
	}
	parts := contextName.FindStringSubmatch(name)
	if parts == nil {
		return diagnosis.Cluster{}, nil
	}
	return diagnosis.Cluster{Project: parts[1], Location: parts[2], Name: parts[3]}, nil
}

// offerCloud has the next step of what only the cloud can tell be this very call
// with the cloud: the operator's is to call the program, and that was done.
func (o *options) offerCloud(found []outage.Finding, arguments []string) {
	for i := range found {
		e := &found[i].Explanation
		switch {
		case e.Reason != string(pullfailure.PermissionDenied):
		case len(o.files) > 0:
			e.NextStep = o.again(arguments) + " --cloud"
		case e.NextStep != "":
			e.NextStep += " --cloud"
		}
	}
}

// offerLogin has the next step of what only the cloud can tell be to get credentials.
func offerLogin(found []outage.Finding) {
	for i := range found {
		if e := &found[i].Explanation; e.Reason == string(pullfailure.PermissionDenied) {
			e.NextStep = message.LoginCommand
		}
	}
}

// again is the present call about files, as far as it says what to look at.
func (o *options) again(arguments []string) string {
	words := append([]string{"kubectl", "pullaccess", "explain"}, arguments...)
	for _, file := range o.files {
		words = append(words, "-f", file)
	}
	if !o.allNamespaces && given(o.config.Namespace) {
		words = append(words, "-n", *o.config.Namespace)
	}
	if o.selector != "" {
		words = append(words, "-l", o.selector)
	}
	for i := range words {
		words[i] = quoted(words[i])
	}
	return strings.Join(words, " ")
}

// plain are words that no shell reads anything into.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:=,@%+-]+$`)

// quoted is a word for a POSIX shell.
func quoted(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
