// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

func given(flag *string) bool { return flag != nil && *flag != "" }

// observer reads facts through reader, and from the cloud unless it is nil.
func (o *options) observer(reader client.Reader, cloud facts.Cloud) *facts.Observer {
	reader = tolerant{reader}
	observer := facts.Observer{Client: reader, Live: reader, Nodes: workload.NewNodes(reader), Clock: o.clock, Cluster: o.home}
	if o.readPullSecrets {
		observer.Secrets = reader
	}
	if cloud != nil {
		observer.Cloud = bounded{cloud, o.clock.Now().Add(o.cloudTimeout)}
	}
	return facts.New(observer)
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
