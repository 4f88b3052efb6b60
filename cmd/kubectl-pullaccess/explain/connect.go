// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
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

// hinted says of a cluster that does not answer that nothing has said where it is,
// if that is so: localhost is then a guess.
func (o *options) hinted(err error) error {
	if exit.Code(err) != exit.Unreachable {
		return err
	}
	raw, rawErr := o.config.ToRawKubeConfigLoader().RawConfig()
	config, configErr := o.config.ToRESTConfig()
	if rawErr != nil || configErr != nil || len(raw.Clusters) > 0 || given(o.config.APIServer) || config.Host != clientcmd.ClusterDefaults.Server {
		return err
	}
	return fmt.Errorf("%w; no kubeconfig was found, see --kubeconfig and --context", err)
}

func given(flag *string) bool { return flag != nil && *flag != "" }

// observer reads facts through reader, and from the cloud unless it is nil.
func (o *options) observer(reader client.Reader, cloud observation.Cloud) *observation.Observer {
	reader = tolerant{reader}
	observer := observation.Observer{Client: reader, Live: reader, Nodes: workload.NewNodes(reader), Clock: o.clock, Cluster: o.home}
	if o.readPullSecrets {
		observer.Secrets = reader
	}
	if cloud != nil {
		observer.Cloud = bounded{cloud, o.clock.Now().Add(o.cloudTimeout)}
	}
	return observation.New(observer)
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
