// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"fmt"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/gcp"
	"github.com/pull-access/pull-access-operator/internal/observation"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

const (
	// queriesPerSecond and burst are those of kubectl: the API server has its own brakes.
	queriesPerSecond, burst = 50, 300
)

// connect makes a reader of the cluster that the flags mean. It reaches for nothing yet.
func (o *options) connect() (client.Reader, error) {
	config, err := o.config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = queriesPerSecond, burst
	config.WarningHandler = rest.NewWarningWriter(o.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	config.UserAgent = "kubectl-pullaccess/" + o.version
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme, Mapper: mapperOf(scheme)})
}

// mapperOf names the resources of all kinds by Kubernetes' own rule, which spares
// the discovery: all kinds that are read follow it.
func mapperOf(scheme *runtime.Scheme) meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(scheme.PrioritizedVersionsAllGroups())
	for kind := range scheme.AllKnownTypes() {
		scope := meta.RESTScopeNamespace
		switch kind.Kind {
		case "Node", "Namespace", "PullAccessPolicy", "PullAccessGrant":
			scope = meta.RESTScopeRoot
		}
		mapper.Add(kind, scope)
	}
	return mapper
}

// observer reads facts through reader, and from the cloud unless it is not to be asked.
func (o *options) observer(ctx context.Context, reader client.Reader) (*observation.Observer, error) {
	now := clock.RealClock{}
	reader = tolerant{reader}
	observer := observation.Observer{Client: reader, Live: reader, Nodes: workload.NewNodes(reader), Clock: now}
	if o.readPullSecrets {
		observer.Secrets = reader
	}
	if o.noCloud {
		return observation.New(observer), nil
	}
	cluster, err := o.cluster()
	if err != nil {
		return nil, err
	}
	cloud, err := gcp.New(ctx, gcp.Options{
		Endpoint: o.gcpEndpoint, UserAgent: "kubectl-pullaccess/" + o.version, Cluster: cluster, Troubleshoot: o.troubleshoot,
	})
	if err != nil {
		return nil, fmt.Errorf("--gcp-endpoint: %w", err)
	}
	observer.Cloud = bounded{gcp.NewCached(cloud, now), time.Now().Add(o.cloudTimeout)}
	return observation.New(observer), nil
}

// contextName is how gcloud names the context of a GKE cluster.
var contextName = regexp.MustCompile(`^gke_([^_]+)_([^_]+)_([^_]+)$`)

// cluster is the GKE cluster that the flag names, or the name of the context.
func (o *options) cluster() (diagnosis.Cluster, error) {
	if o.gkeCluster != "" {
		cluster, err := gcp.ParseCluster(o.gkeCluster)
		if err != nil {
			return diagnosis.Cluster{}, fmt.Errorf("--gke-cluster: %w", err)
		}
		return cluster, nil
	}
	if len(o.files) > 0 {
		return diagnosis.Cluster{}, nil // The file need not be of the current context.
	}
	raw, err := o.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return diagnosis.Cluster{}, err
	}
	name := raw.CurrentContext
	if o.config.Context != nil && *o.config.Context != "" {
		name = *o.config.Context
	}
	parts := contextName.FindStringSubmatch(name)
	if parts == nil {
		return diagnosis.Cluster{}, nil
	}
	return diagnosis.Cluster{Project: parts[1], Location: parts[2], Name: parts[3]}, nil
}

// namespace is the one that the flags mean, "" for all.
func (o *options) namespace() (string, error) {
	if o.allNamespaces {
		return corev1.NamespaceAll, nil
	}
	if len(o.files) > 0 {
		if o.config.Namespace != nil {
			return *o.config.Namespace, nil
		}
		return corev1.NamespaceAll, nil
	}
	name, _, err := o.config.ToRawKubeConfigLoader().Namespace()
	return name, err
}
