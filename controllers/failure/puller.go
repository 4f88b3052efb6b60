// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package failure

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// federatedPull is the annotation by which a Kubernetes service account pulls as
// itself instead of as the node.
// https://github.com/kubernetes/cloud-provider-gcp/pull/1202
const federatedPull = "iam.gke.io/enable-wi-image-pull"

const (
	// accountsKept bounds how many service accounts are remembered.
	accountsKept = 2048
	// accountsFor is how long.
	accountsFor = time.Minute
)

// observePuller finds who asked the registry for the pod's images: the account
// of its node, unless the pod says that somebody else may have.
func (r *Reconciler) observePuller(ctx context.Context, pod *corev1.Pod) (diagnosis.Puller, error) {
	if len(pod.Spec.ImagePullSecrets) > 0 {
		return diagnosis.Puller{Other: diagnosis.PullSecret}, nil
	}
	federated, err := r.accounts.federated(ctx, r.Live, pod)
	if err != nil {
		return diagnosis.Puller{}, err
	}
	if federated {
		return diagnosis.Puller{Other: diagnosis.KubernetesServiceAccount}, nil
	}
	providerID, err := r.Nodes.ProviderID(ctx, pod.Spec.NodeName)
	if err != nil {
		return diagnosis.Puller{}, err
	}
	puller := r.Cloud.NodeAccount(ctx, providerID)
	puller.Node = pod.Spec.NodeName
	return puller, nil
}

// accounts remembers what was read of service accounts, so that a thousand
// failing pods of one read it once. Safe for concurrent use.
type accounts struct {
	known *cache.LRUExpireCache
}

func newAccounts() accounts { return accounts{known: cache.NewLRUExpireCache(accountsKept)} }

// federated tells whether the pod's service account pulls as itself. A service
// account that does not exist cannot.
func (a accounts) federated(ctx context.Context, live client.Reader, pod *corev1.Pod) (bool, error) {
	name := pod.Spec.ServiceAccountName
	if name == "" {
		name = "default"
	}
	key := client.ObjectKey{Namespace: pod.Namespace, Name: name}
	if known, ok := a.known.Get(key); ok {
		if federated, ok := known.(bool); ok {
			return federated, nil
		}
	}
	var account corev1.ServiceAccount
	err := live.Get(ctx, key, &account)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read service account %s: %w", key, err)
	}
	federated := account.Annotations[federatedPull] == "true"
	a.known.Add(key, federated, accountsFor)
	return federated, nil
}
