// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/cluster"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// The operator's own names.
const (
	operatorName      = cluster.OperatorName
	operatorNamespace = cluster.OperatorNamespace
)

// backoffBase is the node's first back-off after a failed pull, a tenth of kubelet's.
const backoffBase = time.Second

// lab is all that runs: the emulated cloud, the cluster with its node, and the operator.
type lab struct {
	*printer
	cloud    *gcpemulator.Emulator
	cluster  *cluster.Cluster
	operator *cluster.Manager
	client   client.WithWatch
}

// start starts the parts one after the other. After an error, stop ends those that were started.
func (l *lab) start(ctx context.Context) error {
	for _, part := range []struct {
		say   string
		start func(context.Context) error
	}{
		{"Starting a Kubernetes control plane", l.startCluster},
		{"Starting an emulated Google Cloud", l.startCloud},
		{"Installing the operator's CRDs and RBAC", l.install},
		{"Starting a node", l.startNode},
		{"Starting the operator", l.startOperator},
	} {
		l.step("%s", part.say)
		if err := part.start(ctx); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(part.say[:1])+part.say[1:], err)
		}
	}
	return nil
}

// stop ends everything and returns when it is gone.
func (l *lab) stop() {
	if l.operator != nil {
		l.operator.Stop()
	}
	if l.cluster != nil {
		l.cluster.Stop()
	}
	if l.cloud != nil {
		// All that a failed close could leave behind ends with this process.
		_ = l.cloud.Close()
	}
}

func (l *lab) startCluster(ctx context.Context) error {
	started, err := cluster.Start(ctx, cluster.Options{})
	if err != nil {
		return err
	}
	l.cluster = started
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	l.client, err = client.NewWithWatch(started.Config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	l.note("etcd, kube-apiserver, kube-controller-manager and kube-scheduler serve at %s", started.Config.Host)
	return nil
}

func (l *lab) startCloud(ctx context.Context) error {
	cloud, err := startCloud(ctx)
	if err != nil {
		return err
	}
	l.cloud = cloud
	l.note("Artifact Registry, IAM, Compute Engine and the image registry serve at %s; a change of IAM takes %s to spread", cloud.URL(), propagation)
	return nil
}

// install does what a user does. The installed Deployment is scaled to nothing:
// the node only says that containers run, so the operator runs as a process.
func (l *lab) install(ctx context.Context) error {
	if err := l.kubectl(ctx, "apply", "--server-side", "-k", "config/default"); err != nil {
		return err
	}
	if err := l.kubectl(ctx, "--namespace="+operatorNamespace, "scale", "deployment/"+operatorName, "--replicas=0"); err != nil {
		return err
	}
	_, err := l.cluster.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=1m",
		"crd/pullaccesspolicies.pullaccess.dev", "crd/pullaccessgrants.pullaccess.dev")
	return err
}

func (l *lab) startNode(ctx context.Context) error {
	metadata, err := l.cloud.StartMetadata(nodeInstance()) //nolint:contextcheck // It lives as long as the demo, not as this call.
	if err != nil {
		return err
	}
	providerID := "gce://" + nodeProject + "/" + zone + "/" + nodeName
	_, err = l.cluster.StartHollowNode(ctx, cluster.HollowNode{
		Name:        nodeName,
		ProviderID:  providerID,
		Labels:      map[string]string{"cloud.google.com/gke-nodepool": "prod-pool"},
		MetadataURL: metadata,
		RegistryURL: l.cloud.URL(),
		BackoffBase: backoffBase,
	})
	if err != nil {
		return err
	}
	l.note("node %s (%s) really pulls, as %s; it runs no containers, and its back-off is a tenth of kubelet's", nodeName, providerID, nodeAccount)
	return nil
}

func (l *lab) startOperator(ctx context.Context) error {
	kubeconfig, err := l.cluster.ServiceAccountKubeconfig(ctx, operatorNamespace, operatorName)
	if err != nil {
		return err
	}
	l.operator, err = cluster.StartManager(ctx, cluster.Command{
		Name: "manager", Path: managerPath, Log: l.operatorLog(),
		Args: []string{"--kubeconfig=" + kubeconfig, "--gcp-endpoint=" + l.cloud.URL(), "--verbosity=1"},
	})
	if err != nil {
		return err
	}
	l.note("bin/manager runs with the rights of service account %s/%s and no others, and --gcp-endpoint=%s", operatorNamespace, operatorName, l.cloud.URL())
	return nil
}

func (l *lab) operatorLog() string { return filepath.Join(l.cluster.Dir, "logs", "manager.log") }

// kubectl says what it runs, and runs it.
func (l *lab) kubectl(ctx context.Context, args ...string) error {
	l.note("$ kubectl %s", strings.Join(args, " "))
	_, err := l.cluster.Kubectl(ctx, args...)
	return err
}
