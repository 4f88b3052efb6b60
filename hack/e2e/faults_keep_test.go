// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pull-access/pull-access-operator/hack/cluster"
)

// restartPause is for how long a kept operator rests between its end and its next start.
const restartPause = time.Second

// keptOperator is one that is started again when it ends by itself, as a Deployment does. It has a proxy of its own: what is
// held up there when it dies is never let go.
type keptOperator struct {
	*proxy
	log  string
	args []string

	stop    chan struct{}
	stopped sync.WaitGroup

	mu      sync.Mutex
	running *operator
	starts  int
	failed  error
}

// keep starts an operator that is kept until the test ends or it is killed. It does not wait for it to be ready.
func (l *lab) keep(t *testing.T, meddle meddler, args ...string) *keptOperator {
	t.Helper()
	k := &keptOperator{proxy: newProxy(t), log: filepath.Join(t.TempDir(), "operator.log"), stop: make(chan struct{})}
	k.meddle = meddle
	k.args = slices.Concat([]string{"--kubeconfig=" + k.kubeconfig(t), "--gcp-endpoint=" + l.cloud.URL(), "--verbosity=1"}, args)
	metrics, probes := freeAddress(t), freeAddress(t)
	k.stopped.Go(func() { k.run(metrics, probes) })
	t.Cleanup(func() {
		k.kill()
		if t.Failed() {
			logOf(t, k.log)
		}
	})
	return k
}

// run starts the operator again and again, on the same ports.
func (k *keptOperator) run(metrics, probes string) {
	for {
		process, err := cluster.StartProcess(cluster.Command{
			Name: "operator", Path: shared.manager, Env: os.Environ(), Log: k.log,
			Args: slices.Concat(k.args, []string{"--metrics-bind-address=" + metrics, "--health-probe-bind-address=" + probes}),
		})
		k.mu.Lock()
		k.failed = err
		if err == nil {
			k.starts++
			k.running = &operator{Manager: &cluster.Manager{Process: process, Metrics: metrics, Probes: probes}, log: k.log}
		}
		k.mu.Unlock()
		if err != nil {
			return
		}
		select {
		case <-k.stop:
			process.Kill()
			return
		case <-process.Done():
		}
		select {
		case <-k.stop:
			return
		case <-time.After(restartPause):
		}
	}
}

// kill ends the operator at once and for good. A second call does nothing.
func (k *keptOperator) kill() {
	k.mu.Lock()
	select {
	case <-k.stop:
	default:
		close(k.stop)
	}
	k.mu.Unlock()
	k.stopped.Wait()
}

// now is the process that runs, nil before the first, how many were started, and why the last was not.
func (k *keptOperator) now() (running *operator, starts int, failed error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.running, k.starts, k.failed
}

// interfere has a meddler see all its requests from now on.
func (k *keptOperator) interfere(meddle meddler) {
	k.proxy.mu.Lock()
	defer k.proxy.mu.Unlock()
	k.meddle = meddle
}

// awaitReady waits until it is ready.
func (k *keptOperator) awaitReady(t *testing.T) {
	t.Helper()
	eventually(t, "the operator is ready", func(ctx context.Context) (bool, any) {
		o, starts, failed := k.now()
		if o == nil {
			return false, failed
		}
		code, body := get(ctx, "http://"+o.Probes+"/readyz")
		return code == http.StatusOK, []any{starts, body}
	})
}

// leads tells whether it holds the lease.
func (k *keptOperator) leads(ctx context.Context) bool {
	o, _, _ := k.now()
	return o != nil && o.metric(ctx, `leader_election_master_status{name="`+operatorName+`"}`) == "1"
}

// panics are the lines of its log that tell of one.
func (k *keptOperator) panics(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(k.log)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "panic") {
			found = append(found, line)
		}
	}
	return found
}
