// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/gcp"
	"github.com/pull-access/pull-access-operator/internal/metrics"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// name is the operator's own: in events, in user agents, and on its lease.
const name = "pull-access-operator"

const (
	// reconciliationTimeout bounds one pass; calls to the cloud are bounded below it.
	reconciliationTimeout = 5 * time.Minute
	// queriesPerSecond and burst bound the calls to the API server. The default of
	// 20 would make a storm of failing pods wait for minutes.
	queriesPerSecond, burst = 100, 200
)

// Run runs the operator until ctx ends. An unreachable cloud keeps it neither
// from starting nor from being ready: what cannot be read is said on the policies.
func Run(ctx context.Context, version string, o Options) error {
	logger, flush, err := newLogger(o)
	if err != nil {
		return err
	}
	defer flush()
	cluster, err := clusterConfig(o.Kubeconfig)
	if err != nil {
		return err
	}
	home, err := homeCluster(ctx, o)
	if err != nil {
		return err
	}
	cloud, err := gcp.New(ctx, gcp.Options{
		Endpoint: o.GCPEndpoint, UserAgent: name + "/" + version, Cluster: home, Troubleshoot: o.Troubleshoot,
	})
	if err != nil {
		return fmt.Errorf("%w: --gcp-endpoint: %w", ErrUsage, err)
	}
	// These are of the whole process: who is refused leaves them alone.
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	mgr, err := newManager(cluster, o)
	if err != nil {
		return err
	}
	if err := addReadiness(ctx, mgr); err != nil {
		return err
	}
	if err := metrics.Register(func() metrics.Standing { return standing(ctx, mgr.GetClient()) }); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	if err := addControllers(ctx, mgr, cloud, home, o); err != nil {
		return err
	}
	logger.Info("Starting", "version", version, "gcpEndpoint", o.GCPEndpoint, "leaderElection", o.LeaderElect)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// homeCluster is the GKE cluster that the operator looks at; zero if it is not
// known. Only in a pod of that cluster does the metadata server speak of the right one.
func homeCluster(ctx context.Context, o Options) (diagnosis.Cluster, error) {
	if o.Cluster != "" {
		home, err := gcp.ParseCluster(o.Cluster)
		if err != nil {
			return home, fmt.Errorf("%w: --gke-cluster: %w", ErrUsage, err)
		}
		return home, nil
	}
	_, err := rest.InClusterConfig()
	if err != nil || o.GCPEndpoint != "" || o.Kubeconfig != "" || os.Getenv(clientcmd.RecommendedConfigPathEnvVar) != "" {
		return diagnosis.Cluster{}, nil //nolint:nilerr // Outside of pods there is none to be found.
	}
	home, _ := gcp.FindCluster(ctx)
	return home, nil
}

func newManager(cluster *rest.Config, o Options) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	mgr, err := manager.New(cluster, manager.Options{
		Scheme:                        scheme,
		NewCache:                      newCache,
		Cache:                         cacheOptions(),
		Metrics:                       metricsOptions(o),
		HealthProbeBindAddress:        o.ProbeAddress,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              name,
		LeaderElectionNamespace:       o.LeaderNamespace,
		LeaderElectionReleaseOnCancel: true,
		Controller:                    config.Controller{ReconciliationTimeout: reconciliationTimeout},
	})
	if err != nil {
		return nil, fmt.Errorf("set up: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("set up /healthz: %w", err)
	}
	return mgr, nil
}

// pendingPods selects the pods to cache. A pod that cannot pull is pending, so the manager
// never lists, decodes or caches healthy pods.
var pendingPods = fields.OneTermEqualSelector("status.phase", string(corev1.PodPending))

// cacheOptions limits the cached size of each pod and namespace. It keeps the managed
// fields of grants, which show when a person wrote a review.
func cacheOptions() cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.PullAccessGrant{}:     {Transform: func(object any) (any, error) { return object, nil }},
			&corev1.Pod{}:                   {Field: pendingPods, Transform: stripPod},
			workload.NewNamespaceMetadata(): {Transform: stripNamespace},
		},
	}
}

// newCache returns a cache that decodes its first lists one object at a time.
func newCache(cluster *rest.Config, options cache.Options) (cache.Cache, error) {
	options.NewInformer = lister{
		config: cluster, http: options.HTTPClient, scheme: options.Scheme, mapper: options.Mapper,
	}.newInformer
	return cache.New(cluster, options)
}

func clusterConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	if kubeconfig != "" {
		if _, err := os.Stat(kubeconfig); err != nil {
			return nil, fmt.Errorf("%w: --kubeconfig: %w", ErrUsage, err)
		}
	}
	cluster, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	switch {
	case err != nil && kubeconfig == "":
		return nil, fmt.Errorf("%w: no cluster was found: give --kubeconfig, or run in a pod or where kubectl has a current context", ErrUsage)
	case err != nil:
		return nil, fmt.Errorf("%w: --kubeconfig %s: %w", ErrUsage, kubeconfig, err)
	}
	cluster.QPS, cluster.Burst = queriesPerSecond, burst
	cluster.UserAgent = name
	return cluster, nil
}

func newLogger(o Options) (logr.Logger, func(), error) {
	settings := zap.NewProductionConfig()
	settings.Sampling = nil
	settings.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	if o.Development {
		settings = zap.NewDevelopmentConfig()
	}
	settings.Level = zap.NewAtomicLevelAt(zapcore.Level(-o.Verbosity))
	settings.DisableStacktrace = true
	built, err := settings.Build()
	if err != nil {
		return logr.Logger{}, nil, fmt.Errorf("build logger: %w", err)
	}
	return zapr.NewLogger(built), func() { _ = built.Sync() }, nil
}
