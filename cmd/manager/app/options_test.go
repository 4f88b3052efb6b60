// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func TestParseFlags(t *testing.T) {
	defaults := Options{UsageInterval: 10 * time.Minute, MetricsAddress: ":8443", MetricsSecure: true, ProbeAddress: ":8081"}
	all := Options{
		Kubeconfig: "k", GCPEndpoint: "http://127.0.0.1:1", UsageInterval: time.Second, MetricsAddress: "0", ProbeAddress: "127.0.0.1:2",
		LeaderElect: true, LeaderNamespace: "ops", Development: true, Verbosity: 1,
	}
	tests := map[string]struct {
		args []string
		want Options
	}{
		"none": {nil, defaults},
		"all": {[]string{
			"--kubeconfig=k", "--gcp-endpoint=http://127.0.0.1:1", "--usage-interval=1s", "--metrics-bind-address=0", "--metrics-secure=false", "--health-probe-bind-address=127.0.0.1:2",
			"--leader-elect", "--leader-election-namespace=ops", "--development", "-v1",
		}, all},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseFlags(tc.args, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseFlagsRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		args  []string
		names string
	}{
		"unknown flag":     {[]string{"--grant-everything"}, "--grant-everything"},
		"no number":        {[]string{"--verbosity=much"}, "--verbosity"},
		"missing value":    {[]string{"--kubeconfig"}, "--kubeconfig"},
		"argument":         {[]string{"--leader-elect", "now"}, `"now"`},
		"too verbose":      {[]string{"--verbosity=2"}, "--verbosity"},
		"below any":        {[]string{"--verbosity=-1"}, "--verbosity"},
		"looks too often":  {[]string{"--usage-interval=999ms"}, "--usage-interval"},
		"never rests":      {[]string{"--usage-interval=0"}, "--usage-interval"},
		"no time":          {[]string{"--usage-interval=10"}, "--usage-interval"},
		"one dash too few": {[]string{"-kubeconfig=x"}, "-kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseFlags(tc.args, io.Discard)
			if err == nil {
				t.Fatalf("ParseFlags(%q) took it", tc.args)
			}
			if s := err.Error(); strings.Contains(s, "\n") || !strings.Contains(s, tc.names) {
				t.Errorf("%q is not one sentence that names %q", s, tc.names)
			}
		})
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var usage strings.Builder
	if _, err := ParseFlags([]string{"--help"}, &usage); !errors.Is(err, pflag.ErrHelp) {
		t.Fatalf("--help: %v", err)
	}
	for _, flag := range []string{
		"--kubeconfig", "--gcp-endpoint", "--usage-interval", "--metrics-bind-address", "--metrics-secure", "--health-probe-bind-address",
		"--leader-elect", "--leader-election-namespace", "--development", "--verbosity",
	} {
		// A flag without a value is followed by what it may be set to.
		if !strings.Contains(usage.String(), flag+" ") && !strings.Contains(usage.String(), flag+"[=true|false] ") {
			t.Errorf("the usage does not name %s", flag)
		}
	}
}

func TestClusterConfig(t *testing.T) {
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "kubeconfig")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, file := range map[string]string{
		"no such file": filepath.Join(t.TempDir(), "none"),
		"no YAML":      write("{"),
		"no cluster":   write("{apiVersion: v1, kind: Config, current-context: x}"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := clusterConfig(file); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "--kubeconfig") {
				t.Errorf("clusterConfig: %v, want a usage error that names the flag", err)
			}
		})
	}
	file := write(`{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x}}],
clusters: [{name: x, cluster: {server: "http://127.0.0.1:1"}}]}`)
	cluster, err := clusterConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if cluster.Host != "http://127.0.0.1:1" || cluster.QPS != queriesPerSecond || cluster.Burst != burst || cluster.UserAgent != name {
		t.Errorf("host %s, %v queries a second, burst %d, agent %s", cluster.Host, cluster.QPS, cluster.Burst, cluster.UserAgent)
	}
}

// TestRunRefusesACrookedEndpoint: a typing error must not send calls elsewhere.
func TestRunRefusesACrookedEndpoint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := `{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x}}],
clusters: [{name: x, cluster: {server: "http://127.0.0.1:1"}}]}`
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Run(t.Context(), "test", Options{Kubeconfig: file, GCPEndpoint: "127.0.0.1:1"})
	if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "--gcp-endpoint") {
		t.Errorf("Run: %v, want a usage error that names the flag", err)
	}
}

func TestNewLogger(t *testing.T) {
	for verbosity, want := range map[int]bool{0: false, 1: true} {
		logger, flush, err := newLogger(Options{Verbosity: verbosity})
		if err != nil {
			t.Fatal(err)
		}
		if got := logger.V(1).Enabled(); got != want || !logger.Enabled() {
			t.Errorf("verbosity %d: V(1) enabled %v, want %v", verbosity, got, want)
		}
		flush()
	}
}
