// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// apiserverGrace is short because the API server would wait for clients to close their watches, and loses nothing if it does
// not: its state is etcd's, and the audit log is written as requests complete.
const apiserverGrace = 2 * time.Second

// auditPolicy has each request logged once, when it is complete, without bodies; of all users if none is named.
func auditPolicy(users []string) string {
	const head = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
`
	if len(users) == 0 {
		return head
	}
	// A user's name holds neither quotes nor line breaks; quoted, it may hold a colon.
	return head + "  users: ['" + strings.Join(users, "', '") + "']\n- level: None\n"
}

// admission configures the API server to admit pods of the two critical priority classes as GKE does: only in namespaces
// with a quota for the class.
const admission = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ResourceQuota
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: ResourceQuotaConfiguration
    limitedResources:
    - resource: pods
      matchScopes:
      - {scopeName: PriorityClass, operator: In, values: [system-node-critical, system-cluster-critical]}
`

// ports are the loopback ports of one cluster.
type ports struct {
	etcd, peer, apiserver int
}

// freePorts finds ports that nobody listens on.
func freePorts() (ports, error) {
	found, err := freeAddresses(3)
	if err != nil {
		return ports{}, err
	}
	return ports{etcd: int(found[0].Port()), peer: int(found[1].Port()), apiserver: int(found[2].Port())}, nil
}

// StartEtcd starts etcd, on the same ports and with the same state each time, and returns when it is healthy. Start has
// already done so; it is for tests that stopped it.
func (c *Cluster) StartEtcd(ctx context.Context) error {
	if c.etcd != nil && c.etcd.Exited() == nil {
		return nil
	}
	client := fmt.Sprintf("http://127.0.0.1:%d", c.ports.etcd)
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.ports.peer)
	p, err := c.spawn(Command{Name: "etcd", Path: c.binaries["etcd"], Args: append([]string{
		"--data-dir=" + c.path("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
	}, c.options.EtcdArgs...)})
	if err != nil {
		return err
	}
	c.etcd = p
	return p.waitFor(ctx, "etcd to be healthy", func(ctx context.Context) error {
		return getOK(ctx, client+"/readyz")
	})
}

// StopEtcd ends etcd, as in an outage of the API server's store. The API server keeps running and can serve next to nothing.
func (c *Cluster) StopEtcd() {
	c.etcd.Stop()
}

// StartAPIServer starts the API server, on the same port and with the same state each time, and returns when it is ready.
// Start has already done so; it is for tests that stopped it.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	if c.apiserver != nil && c.apiserver.Exited() == nil {
		return nil
	}
	p, err := c.spawn(Command{Name: "kube-apiserver", Path: c.binaries["kube-apiserver"], Grace: apiserverGrace, Args: append([]string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", c.ports.etcd),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.ports.apiserver),
		"--tls-cert-file=" + c.path("pki", "apiserver.crt"), "--tls-private-key-file=" + c.path("pki", "apiserver.key"),
		"--client-ca-file=" + c.path("pki", "ca.crt"),
		"--service-account-key-file=" + c.path("pki", "service-account.key"),
		"--service-account-signing-key-file=" + c.path("pki", "service-account.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged",
		"--admission-control-config-file=" + c.path("admission.yaml"),
		"--service-cluster-ip-range=10.0.0.0/16", "--endpoint-reconciler-type=none",
		"--audit-policy-file=" + c.path("audit-policy.yaml"), "--audit-log-path=" + c.AuditLog,
	}, c.options.APIServerArgs...)})
	if err != nil {
		return err
	}
	c.apiserver = p
	return p.waitFor(ctx, "kube-apiserver to be ready", func(ctx context.Context) error {
		return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// StopAPIServer ends the API server, as in an outage. The other programs keep running and try to reach it.
func (c *Cluster) StopAPIServer() {
	c.apiserver.Stop()
}

// RestartAPIServer stops the API server and starts it with these additional arguments.
func (c *Cluster) RestartAPIServer(ctx context.Context, args ...string) error {
	c.StopAPIServer()
	c.options.APIServerArgs = args
	return c.StartAPIServer(ctx)
}

func (c *Cluster) startControllers(ctx context.Context) error {
	// Neither needs a port: nobody asks them anything here.
	manager, err := c.startComponent("kube-controller-manager",
		"--service-account-private-key-file="+c.path("pki", "service-account.key"),
		"--root-ca-file="+c.path("pki", "ca.crt"), "--use-service-account-credentials")
	if err != nil {
		return err
	}
	scheduler, err := c.startComponent("kube-scheduler")
	if err != nil {
		return err
	}
	if err := manager.waitFor(ctx, "the default service account", func(ctx context.Context) error {
		_, err := c.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	}); err != nil {
		return err
	}
	return scheduler.Exited()
}

func (c *Cluster) startComponent(name string, args ...string) (*Process, error) {
	kubeconfig, err := c.UserKubeconfig("system:" + name)
	if err != nil {
		return nil, err
	}
	return c.spawn(Command{Name: name, Path: c.binaries[name], Args: append([]string{
		"--kubeconfig=" + kubeconfig, "--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000",
	}, args...)})
}

// getOK asks a plain HTTP health endpoint.
func getOK(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	return nil
}
