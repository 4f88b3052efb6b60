// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pull-access/pull-access-operator/hack/cluster"
)

// operator is one running process of the operator.
type operator struct {
	*cluster.Manager
	// log is the file that its log goes to.
	log string
}

// launch says how the operator is started.
type launch struct {
	// endpoint replaces Google. If it is empty, the operator calls Google's own hosts, and env must set the proxy.
	endpoint string
	// kubeconfig is the shared one if empty.
	kubeconfig string
	args       []string
	env        []string
}

// startOperator starts the operator and returns when it is ready. It ends with the test.
func startOperator(t *testing.T, l launch) *operator {
	t.Helper()
	if l.kubeconfig == "" {
		l.kubeconfig = shared.operator
	}
	args := []string{"--kubeconfig=" + l.kubeconfig, "--verbosity=1"}
	if l.endpoint != "" {
		args = append(args, "--gcp-endpoint="+l.endpoint)
	}
	log := filepath.Join(t.TempDir(), "operator.log")
	t.Cleanup(func() {
		wantNoRace(t, log)
		if t.Failed() {
			logOf(t, log)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	manager, err := cluster.StartManager(ctx, cluster.Command{
		Name: "operator",
		Path: shared.manager,
		Args: slices.Concat(args, l.args),
		Env:  slices.Concat(os.Environ(), l.env),
		Log:  log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(manager.Stop)
	return &operator{Manager: manager, log: log}
}

// metric returns the value of one series as /metrics writes it, "" if it is not there.
func (o *operator) metric(ctx context.Context, series string) string {
	_, body := getWith(ctx, shared.metrics, "https://"+o.Metrics+"/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func logOf(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Log(err)
		return
	}
	t.Logf("the operator's log:\n%s", data)
}

// wantNoRace wants the race detector, where the operator has it, to have found nothing.
func wantNoRace(t *testing.T, log string) {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil || strings.Contains(string(data), "WARNING: DATA RACE") {
		t.Errorf("the race detector has found a race in the operator (its log tells which), or the log can't be read: %v", err)
	}
}

// get returns status and body, or 0 and the error's text.
func get(ctx context.Context, url string) (int, string) { return getWith(ctx, http.DefaultClient, url) }

// getWith is get with the given client.
func getWith(ctx context.Context, client *http.Client, url string) (int, string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := cluster.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
