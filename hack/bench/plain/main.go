// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command plain is the measure beside the operator: a controller manager that watches all pods through the usual cache, as a
// controller that begins with its framework's example does, and does nothing about them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "plain:", err)
		stop()
		os.Exit(1) //nolint:gocritic // What was deferred is done.
	}
}

func run(ctx context.Context) error {
	// The framework itself has a flag --kubeconfig, in the set of the program.
	flags := flag.NewFlagSet("plain", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "`file` to reach the cluster with")
	metrics := flags.String("metrics-bind-address", "0", "`address` that serves /metrics")
	probes := flags.String("health-probe-bind-address", "0", "`address` that serves /readyz")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	ctrl.SetLogger(logr.Discard())
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Metrics: server.Options{BindAddress: *metrics}, HealthProbeBindAddress: *probes,
	})
	if err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	nothing := reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) { return reconcile.Result{}, nil })
	if err := ctrl.NewControllerManagedBy(mgr).For(&corev1.Pod{}).Complete(nothing); err != nil {
		return err
	}
	return mgr.Start(ctx)
}
