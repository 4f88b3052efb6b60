// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app wires the operator together: flags, caches, the cloud, and the
// controllers. It is the only place besides the tests that knows all of them.
package app

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"github.com/pull-access/pull-access-operator/controllers/usage"
)

// ErrUsage says that the operator was called wrongly.
var ErrUsage = errors.New("wrong usage")

// minUsageInterval is the shortest interval that --usage-interval takes.
const minUsageInterval = time.Second

// Options is what the flags say.
type Options struct {
	// Kubeconfig is a file; "" means in-cluster, or what kubectl would use.
	Kubeconfig string
	// GCPEndpoint is a URL that every Google API call goes to without
	// credentials; "" means Google's own, with Application Default Credentials.
	GCPEndpoint string
	// Cluster is the operator's own GKE cluster, projects/P/locations/L/clusters/C;
	// "" means what the metadata server of its node says.
	Cluster string
	// Troubleshoot has Policy Troubleshooter asked for deny policies and inherited access.
	Troubleshoot bool
	// ReadPullSecrets has the pull secrets of failing pods read.
	ReadPullSecrets bool
	// UsageInterval is how long all pods and workloads are left alone between two
	// looks for grants that nothing uses.
	UsageInterval time.Duration
	// MetricsAddress and ProbeAddress are HOST:PORT; "0" turns one off.
	MetricsAddress string
	ProbeAddress   string
	// MetricsSecure serves metrics over HTTPS, to clients that the API server authenticates and authorizes.
	MetricsSecure bool
	// LeaderElect lets only one of several operators act.
	LeaderElect bool
	// LeaderNamespace holds the lease; "" means the namespace the pod runs in.
	LeaderNamespace string
	// Development writes logs for people instead of JSON.
	Development bool
	// Version asks for the version, and for nothing else to be done.
	Version bool
	// Verbosity 1 also logs decisions that lead to no write.
	Verbosity int
}

// ParseFlags reads the command line. Its errors are one sentence each.
func ParseFlags(args []string, help io.Writer) (Options, error) {
	var o Options
	flags := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	flags.SetOutput(help)
	flags.SortFlags = false
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "", "`file` to reach the cluster with; in a pod, and where kubectl would find one, it is not needed")
	flags.StringVar(&o.GCPEndpoint, "gcp-endpoint", "", "`URL` that every Google API call goes to, without credentials; for tests and demos")
	flags.StringVar(&o.Cluster, "gke-cluster", "", "GKE cluster of the operator, as projects/PROJECT/locations/LOCATION/clusters/`NAME`; asked of the node's metadata server if not given")
	flags.BoolVar(&o.Troubleshoot, "policy-troubleshooter", false, "ask Policy Troubleshooter for deny policies and inherited access; takes its API and roles on the organization")
	flags.BoolVar(&o.ReadPullSecrets, "read-pull-secrets", false, "read the pull secrets of failing pods to tell whose key they hold; takes config/components/pull-secrets")
	flags.DurationVar(&o.UsageInterval, "usage-interval", usage.DefaultInterval, "`time` between two looks at all pods and workloads for grants that nothing uses; 1s or more")
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", ":8443", "`address` that serves /metrics; 0 turns it off")
	flags.BoolVar(&o.MetricsSecure, "metrics-secure", true, "serve /metrics over HTTPS and require a bearer token whose user may get /metrics; false serves it over HTTP without authentication")
	flags.StringVar(&o.ProbeAddress, "health-probe-bind-address", ":8081", "`address` that serves /healthz and /readyz; 0 turns it off")
	flags.BoolVar(&o.LeaderElect, "leader-elect", false, "let only one of several operators act")
	flags.StringVar(&o.LeaderNamespace, "leader-election-namespace", "", "`namespace` of the lease; in a pod its own is the default")
	flags.BoolVar(&o.Development, "development", false, "write logs for people instead of JSON")
	flags.BoolVar(&o.Version, "version", false, "print the version and exit")
	flags.IntVarP(&o.Verbosity, "verbosity", "v", 0, "1 also logs decisions that lead to no write")
	flags.Usage = func() {
		_, _ = fmt.Fprintf(help, "Usage: manager [flags]\n\n%s", flags.FlagUsages())
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	return o, o.validate(flags.Args())
}

func (o Options) validate(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("%w: argument %q is not expected", ErrUsage, rest[0])
	}
	if o.Verbosity < 0 || o.Verbosity > 1 {
		return fmt.Errorf("%w: --verbosity must be 0 or 1", ErrUsage)
	}
	if o.UsageInterval < minUsageInterval {
		return fmt.Errorf("%w: --usage-interval must be 1s or more", ErrUsage)
	}
	return nil
}
