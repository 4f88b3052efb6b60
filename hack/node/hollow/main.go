// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command hollow is a Kubernetes node that needs no privileges: it pulls its pods' images for real and reports what kubelet
// would report, but runs no container.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/containerd/log"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/hack/node/hollow/image"
	"github.com/pull-access/pull-access-operator/hack/node/hollow/pod"
)

// options are the command line.
type options struct {
	kubeconfig, name, providerID, labels string
	dir, metadataURL, registry           string
	anonymous                            bool
	backoffBase, backoffMax              time.Duration
}

func main() {
	os.Exit(start())
}

func start() int {
	var o options
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the node (system:node:NAME)")
	flag.StringVar(&o.name, "name", "", "name of the node")
	flag.StringVar(&o.providerID, "provider-id", "", "spec.providerID of the node, as gce://PROJECT/ZONE/INSTANCE")
	flag.StringVar(&o.labels, "labels", "", "labels of the node, as key=value,key=value")
	flag.StringVar(&o.dir, "dir", "", "folder for the images; empty: a temporary one that is removed at the end")
	flag.StringVar(&o.metadataURL, "metadata-url", "", "metadata server that gives the token of the node's service account")
	flag.StringVar(&o.registry, "registry", "", "URL that stands in for every registry; empty: the registries themselves")
	flag.BoolVar(&o.anonymous, "anonymous", false, "send no credential to any registry")
	flag.DurationVar(&o.backoffBase, "backoff-base", 10*time.Second, "first back-off after a failed pull")
	flag.DurationVar(&o.backoffMax, "backoff-max", 300*time.Second, "longest back-off")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func run(ctx context.Context, o options) (err error) {
	if o.kubeconfig == "" || o.name == "" || flag.NArg() > 0 {
		return errors.New("--kubeconfig and --name are needed, and nothing beside flags is taken")
	}
	if err := log.SetLevel("warn"); err != nil {
		return err
	}
	nodeLabels, err := labels.ConvertSelectorToLabelsMap(o.labels)
	if err != nil {
		return fmt.Errorf("read --labels: %w", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("read --kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "hollow-node-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}

	credentials := image.Credentials{MetadataURL: o.metadataURL}
	if o.anonymous {
		credentials = image.Credentials{}
	}
	puller, err := image.NewPuller(ctx, o.dir, o.registry, credentials)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, puller.Close()) }()

	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	defer broadcaster.Shutdown()
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: o.name})

	images := image.NewManager(puller, recorder, clock.RealClock{}, o.backoffBase, o.backoffMax)
	runner, err := pod.NewRunner(client, recorder, images, clock.RealClock{}, o.name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		runner.Run(ctx)
	}()
	n := &node{client: client, clock: clock.RealClock{}, name: o.name, providerID: o.providerID, labels: nodeLabels}
	err = n.run(ctx)
	cancel()
	<-finished
	return err
}
