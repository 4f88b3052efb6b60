// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster connects all verbs to the cluster that kubectl's flags mean.
package cluster

import (
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
)

const (
	// queriesPerSecond and burst are those of kubectl: the API server has its own limits.
	queriesPerSecond, burst = 50, 300
)

// Connect makes a client of the cluster that the flags mean. It reaches for nothing
// yet. Warnings of the API server's go to errOut.
func Connect(config *genericclioptions.ConfigFlags, errOut io.Writer, version string) (client.Client, error) {
	found, err := config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	found.QPS, found.Burst = queriesPerSecond, burst
	found.WarningHandler = rest.NewWarningWriter(errOut, rest.WarningWriterOptions{Deduplicate: true})
	found.UserAgent = "kubectl-pullaccess/" + version
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.New(found, client.Options{Scheme: scheme, Mapper: mapperOf(scheme)})
}

// mapperOf names the resources of all kinds by Kubernetes' own rule, which spares
// the discovery: all kinds that are read follow it.
func mapperOf(scheme *runtime.Scheme) meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(scheme.PrioritizedVersionsAllGroups())
	for kind := range scheme.AllKnownTypes() {
		scope := meta.RESTScopeNamespace
		switch kind.Kind {
		case "Node", "Namespace", "PullAccessPolicy", "PullAccessGrant", "SelfSubjectReview":
			scope = meta.RESTScopeRoot
		}
		mapper.Add(kind, scope)
	}
	return mapper
}

// Hinted says of a cluster that does not answer that nothing has said where it is,
// if that is so: localhost is then a guess.
func Hinted(config *genericclioptions.ConfigFlags, err error) error {
	if exit.Code(err) != exit.Unreachable {
		return err
	}
	raw, rawErr := config.ToRawKubeConfigLoader().RawConfig()
	found, foundErr := config.ToRESTConfig()
	if rawErr != nil || foundErr != nil || len(raw.Clusters) > 0 || given(config.APIServer) || found.Host != clientcmd.ClusterDefaults.Server {
		return err
	}
	return fmt.Errorf("%w; no kubeconfig was found, see --kubeconfig and --context", err)
}

func given(flag *string) bool { return flag != nil && *flag != "" }
