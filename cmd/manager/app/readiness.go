// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

var errNotSynced = errors.New("the first list is not complete")

// cachedKinds are the kinds that the controllers watch or read through the manager's cache.
func cachedKinds() map[string]client.Object {
	return map[string]client.Object{
		"pods":       &corev1.Pod{},
		"namespaces": workload.NewNamespaceMetadata(),
		"grants":     &v1alpha1.PullAccessGrant{},
		"policies":   &v1alpha1.PullAccessPolicy{},
	}
}

// addReadiness adds one check per cache to /readyz. It requests every informer before the manager starts. Otherwise a replica
// that is not the leader would start only some of them, and would fill the other caches only after it takes over.
//
// It adds no check for the watches of Events: they cache nothing, and only the leader runs them.
func addReadiness(ctx context.Context, mgr manager.Manager) error {
	for name, kind := range cachedKinds() {
		informer, err := mgr.GetCache().GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("set up cache of %s: %w", name, err)
		}
		if err := mgr.AddReadyzCheck(name, synced(informer)); err != nil {
			return fmt.Errorf("set up /readyz: %w", err)
		}
	}
	return nil
}

// synced fails until the cache holds the first list.
func synced(informer cache.Informer) healthz.Checker {
	return func(*http.Request) error {
		if !informer.HasSynced() {
			return errNotSynced
		}
		return nil
	}
}
