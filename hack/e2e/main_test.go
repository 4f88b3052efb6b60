// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/cluster"
	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

const (
	operatorName      = cluster.OperatorName
	operatorNamespace = cluster.OperatorNamespace
)

// shared is what all tests of the package have in common: it takes seconds to start, and none of it belongs to one test.
var shared struct {
	*cluster.Cluster
	// client is the administrator's.
	client client.Client
	// root is the folder of the project, manager the operator's binary.
	root, manager string
	// operator is the kubeconfig that holds the operator's own token.
	operator string
	// metrics reads the operator's /metrics.
	metrics *http.Client
	// starts are when the API server was started again: until it has read the roles it refuses everybody.
	starts []period
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run starts what is shared, runs the tests, and then reads from the audit log what rights the operator has used.
func run(m *testing.M) int {
	ctrllog.SetLogger(logr.Discard())
	stop, err := start(context.Background())
	defer stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	code := m.Run()
	if err := checkRights(code == 0 && isWholeSuite()); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return code
}

func start(ctx context.Context) (stop func(), err error) {
	dir, err := os.MkdirTemp("", "pull-access-e2e-")
	if err != nil {
		return func() {}, err
	}
	stop = func() { _ = os.RemoveAll(dir) }
	if shared.root, err = binary.RepositoryRoot(); err != nil {
		return stop, err
	}
	shared.manager = filepath.Join(dir, "manager")
	build := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", shared.manager}, raceFlags, []string{"./cmd/manager"})...)
	build.Dir = shared.root
	if out, err := build.CombinedOutput(); err != nil {
		return stop, fmt.Errorf("build the operator: %w: %s", err, out)
	}
	if shared.Cluster, err = cluster.Start(ctx, cluster.Options{}); err != nil {
		return stop, err
	}
	stop = func() {
		shared.Stop()
		_ = os.RemoveAll(dir)
	}
	return stop, install(ctx)
}

// install puts the operator's parts on the shared cluster.
func install(ctx context.Context) error {
	for _, file := range []string{"role.yaml", "role_binding.yaml"} {
		if _, err := shared.Kubectl(ctx, "apply", "-f", filepath.Join(shared.root, "config", "components", "pull-secrets", file)); err != nil {
			return err
		}
	}
	var err error
	if shared.client, shared.operator, err = installOn(ctx, shared.Cluster); err != nil {
		return err
	}
	shared.metrics, err = shared.MetricsClient(ctx)
	return err
}

// installOn installs the operator's parts on a cluster, and returns the administrator's client and the kubeconfig that holds
// the operator's own token.
func installOn(ctx context.Context, c *cluster.Cluster) (client.Client, string, error) {
	if err := c.InstallOperator(ctx, shared.root); err != nil {
		return nil, "", err
	}
	operator, err := c.ServiceAccountKubeconfig(ctx, operatorNamespace, operatorName)
	if err != nil {
		return nil, "", err
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, "", err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, "", err
	}
	administrator, err := client.New(c.Config, client.Options{Scheme: scheme})
	return administrator, operator, err
}
