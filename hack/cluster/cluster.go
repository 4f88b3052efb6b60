// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

// Options say how a cluster is started. The zero value is a control plane in a folder of its own.
type Options struct {
	// Dir is where the cluster's folder is made; empty means the system's temporary folder.
	Dir string
	// Keep leaves the folder, with logs and audit log, after Stop.
	Keep bool
	// NoControllers leaves out the controller manager and the scheduler: nothing is made, bound or evicted but by the caller.
	NoControllers bool
	// AuditUsers are the users whose requests are in the audit log; empty means everybody's. A log of everybody's is much
	// work where there are many requests.
	AuditUsers []string
	// EtcdArgs and APIServerArgs are additional arguments of the two programs.
	EtcdArgs, APIServerArgs []string
}

// Cluster is a running control plane and the nodes that were started on it.
type Cluster struct {
	// Dir holds everything that the cluster keeps on disk; logs are in its logs folder.
	Dir string
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string
	// Config is the administrator's client configuration, without client-side rate limits.
	Config *rest.Config
	// AuditLog is the path of the API server's audit log: every request of Options.AuditUsers at level Metadata, when it is
	// complete.
	AuditLog string
	// KubectlPath is the kubectl of the cluster's own release.
	KubectlPath string

	options   Options
	binaries  map[string]string
	authority *authority
	client    kubernetes.Interface
	ports     ports

	mu sync.Mutex
	// etcd and apiserver are kept apart because tests stop and start them.
	etcd, apiserver *Process
	// children are stopped last first.
	children []*Process
	stopped  bool
}

// Start starts a control plane on loopback and returns when it serves. Whoever starts it must call Stop. A failed start
// leaves nothing behind.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	binaries, err := binary.Find(binary.ControlPlane)
	if err != nil {
		return nil, err
	}
	return onFreePorts(func() (*Cluster, error) { return start(ctx, options, binaries) })
}

func start(ctx context.Context, options Options, binaries map[string]string) (_ *Cluster, err error) {
	dir, err := os.MkdirTemp(options.Dir, "pull-access-cluster-")
	if err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	c := &Cluster{
		Dir:         dir,
		AuditLog:    filepath.Join(dir, "audit.log"),
		KubectlPath: binaries["kubectl"],
		options:     options,
		binaries:    binaries,
	}
	defer func() {
		if err != nil {
			c.options.Keep = false
			c.Stop()
		}
	}()
	if err := c.prepare(); err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	steps := []func(context.Context) error{c.StartEtcd, c.StartAPIServer}
	if !options.NoControllers {
		steps = append(steps, c.startControllers)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("start cluster: %w", err)
		}
	}
	return c, nil
}

// prepare creates the programs' input: folders, certificates, audit and admission configuration, and the administrator's kubeconfig.
func (c *Cluster) prepare() error {
	for _, name := range []string{"logs", "pki", "etcd"} {
		if err := os.Mkdir(filepath.Join(c.Dir, name), 0o700); err != nil {
			return err
		}
	}
	var err error
	if c.ports, err = freePorts(); err != nil {
		return err
	}
	if c.authority, err = newAuthority(); err != nil {
		return err
	}
	if err := c.authority.writePKI(c.path("pki")); err != nil {
		return err
	}
	for name, text := range map[string]string{"audit-policy.yaml": auditPolicy(c.options.AuditUsers), "admission.yaml": admission} {
		if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if c.Kubeconfig, err = c.UserKubeconfig("admin", "system:masters"); err != nil {
		return err
	}
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig); err != nil {
		return err
	}
	c.Config.QPS = -1
	c.client, err = kubernetes.NewForConfig(c.Config)
	return err
}

// Stop ends every process of the cluster and, unless Options.Keep says otherwise, removes its folder. A second call does
// nothing.
func (c *Cluster) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	c.stopped = true
	for _, child := range slices.Backward(c.children) {
		child.Stop()
	}
	if !c.options.Keep {
		// What cannot be removed is in the system's temporary folder: there is nobody to tell and nothing to do about it.
		_ = os.RemoveAll(c.Dir)
	}
}

func (c *Cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.Dir}, elements...)...)
}

func (c *Cluster) logPath(name string) string {
	return c.path("logs", name+".log")
}

func (c *Cluster) serverURL() string {
	return fmt.Sprintf("https://127.0.0.1:%d", c.ports.apiserver)
}

// spawn starts a child that ends with the cluster.
func (c *Cluster) spawn(command Command) (*Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, fmt.Errorf("start %s: the cluster is stopped", command.Name)
	}
	if command.Log == "" {
		command.Log = c.logPath(command.Name)
	}
	p, err := StartProcess(command)
	if err != nil {
		return nil, err
	}
	c.children = append(c.children, p)
	return p, nil
}
