// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package observation

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
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

// readCluster reads what the pod and its account say of who pulls.
func (o *Observer) readCluster(ctx context.Context, pod *corev1.Pod, facts *diagnosis.Facts) error {
	var err error
	facts.Puller.Federated, err = o.accounts.federated(ctx, o.Live, client.ObjectKey{Namespace: pod.Namespace, Name: facts.Puller.Account})
	if err != nil {
		return err
	}
	node, err := o.Nodes.Named(ctx, pod.Spec.NodeName)
	if err != nil {
		return err
	}
	facts.Puller.Pool, facts.Puller.Cluster = node.Pool, o.Cluster
	if o.Cloud != nil {
		facts.Puller.Obstacle = node.Obstacle
	}
	return o.readSecrets(ctx, pod.Namespace, facts)
}

// anotherPulls tells whether it is not the node that pulls, or may not be: what
// the cloud knows of the node does not matter then.
func anotherPulls(p diagnosis.Puller) bool {
	return p.Federated == diagnosis.Present || slices.ContainsFunc(p.Secrets, func(s diagnosis.PullSecret) bool {
		return s.State != diagnosis.Missing
	})
}

// pullerOf asks as whom the node pulls, and keeps what is known already.
func (o *Observer) pullerOf(ctx context.Context, pod *corev1.Pod, known diagnosis.Puller) diagnosis.Puller {
	node, err := o.Nodes.Named(ctx, pod.Spec.NodeName)
	if err != nil {
		return diagnosis.Puller{} // It was there a moment ago; what is known stays.
	}
	puller := o.Cloud.NodeAccount(ctx, node)
	puller.Node, puller.Pool = known.Node, known.Pool
	puller.Federated, puller.Account, puller.Secrets = known.Federated, known.Account, known.Secrets
	puller.Cluster = known.Cluster
	return puller
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

// accounts remembers which Kubernetes service accounts pull for their pods.
type accounts struct {
	known *cache.LRUExpireCache
}

func newAccounts(c clock.PassiveClock) accounts {
	return accounts{known: cache.NewLRUExpireCacheWithClock(accountsKept, c)}
}

// federated tells whether the account pulls; one that may not be read leaves it unknown.
func (a accounts) federated(ctx context.Context, live client.Reader, key client.ObjectKey) (diagnosis.State, error) {
	if known, ok := a.known.Get(key); ok {
		if federated, ok := known.(diagnosis.State); ok {
			return federated, nil
		}
	}
	var account corev1.ServiceAccount
	err := live.Get(ctx, key, &account)
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
	a.known.Add(key, federated, accountsFor)
	return federated, nil
}
