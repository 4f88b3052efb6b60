// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// federatedPull is the annotation by which a Kubernetes service account, and not
// the node, pulls. The annotation iam.gke.io/gcp-service-account has no effect on pulls.
// https://github.com/kubernetes/cloud-provider-gcp/tree/master/cmd/auth-provider-gcp
const federatedPull = "iam.gke.io/enable-wi-image-pull"

const (
	// accountsKept bounds how many service accounts are remembered.
	accountsKept = 2048
	// accountsFor is how long.
	accountsFor = time.Minute
)

// readCluster reads what the pod and its account say of who pulls, and the node.
func (o *Observer) readCluster(ctx context.Context, pod *corev1.Pod, facts *diagnosis.Facts) (diagnosis.Node, error) {
	var err error
	facts.Puller.Federated, err = o.federated(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: facts.Puller.Account})
	if err != nil {
		return diagnosis.Node{}, err
	}
	node, err := o.Nodes.Named(ctx, pod.Spec.NodeName)
	if err != nil {
		return node, err
	}
	facts.Puller.Pool, facts.Puller.Cluster = node.Pool, o.Cluster
	if o.Cloud != nil {
		facts.Puller.Obstacle = node.Obstacle
	}
	return node, o.readSecrets(ctx, pod.Namespace, facts)
}

// asksAsNode tells whether it is the node that pulls, as far as the cluster says:
// else what the cloud knows of the node does not matter.
func asksAsNode(p diagnosis.Puller) bool {
	return p.Obstacle.Kind == diagnosis.NotRead && p.Federated != diagnosis.Present && p.Alone()
}

// pullerOf asks as whom the node pulls, and keeps what the cluster said.
func (o *Observer) pullerOf(ctx context.Context, node diagnosis.Node, known diagnosis.Puller) diagnosis.Puller {
	account := o.Cloud.NodeAccount(ctx, node)
	known.State, known.Obstacle = account.State, account.Obstacle
	known.Email, known.Scopes, known.Instance = account.Email, account.Scopes, account.Instance
	return known
}

// accountOf names the pod's Kubernetes service account.
func accountOf(pod *corev1.Pod) string {
	if pod.Spec.ServiceAccountName == "" {
		return "default"
	}
	return pod.Spec.ServiceAccountName
}

func named(pod *corev1.Pod) []diagnosis.PullSecret {
	var secrets []diagnosis.PullSecret
	for _, reference := range pod.Spec.ImagePullSecrets {
		if reference.Name != "" {
			secrets = append(secrets, diagnosis.PullSecret{Name: reference.Name, Obstacle: diagnosis.Obstacle{
				Kind: diagnosis.Unreadable, Detail: "pull secrets are not read",
			}})
		}
	}
	return secrets
}

// federated tells whether the account pulls; one that may not be read leaves it unknown.
func (o *Observer) federated(ctx context.Context, key client.ObjectKey) (diagnosis.State, error) {
	if known, ok := o.accounts.Get(key); ok {
		if federated, ok := known.(diagnosis.State); ok {
			return federated, nil
		}
	}
	var account corev1.ServiceAccount
	err := o.Live.Get(ctx, key, &account)
	switch {
	case apierrors.IsNotFound(err):
		return diagnosis.Missing, nil // The kubelet has no token for it either.
	case apierrors.IsForbidden(err):
		return diagnosis.Unknown, nil
	case err != nil:
		return diagnosis.Unknown, fmt.Errorf("read service account %s: %w", key, err)
	}
	federated := diagnosis.Missing
	if account.Annotations[federatedPull] == "true" {
		federated = diagnosis.Present
	}
	o.accounts.Add(key, federated, accountsFor)
	return federated, nil
}
