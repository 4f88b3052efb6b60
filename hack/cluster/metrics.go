// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const (
	// MetricsReaderRole is the ClusterRole in config/default for reading the operator's
	// /metrics.
	MetricsReaderRole = "pull-access-metrics-reader"
	// MetricsAccount is the service account in namespace default that MetricsClient creates.
	MetricsAccount = "metrics-scraper"
)

// MetricsClient returns a client that reads the operator's /metrics as Prometheus does: over HTTPS without verifying the
// self-signed certificate, with the token of a service account that has ClusterRole MetricsReaderRole. The operator must be
// installed.
func (c *Cluster) MetricsClient(ctx context.Context) (*http.Client, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: MetricsAccount}}
	_, err := c.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Create(ctx, account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("create the service account that reads metrics: %w", err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: MetricsAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: MetricsReaderRole},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceDefault, Name: MetricsAccount}},
	}
	_, err = c.client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("bind the role that reads metrics: %w", err)
	}
	token, err := c.ServiceAccountToken(ctx, metav1.NamespaceDefault, MetricsAccount)
	if err != nil {
		return nil, err
	}
	return TokenClient(token)
}

// TokenClient returns an HTTP client that sends the bearer token, if any, and does not verify certificates.
func TokenClient(token string) (*http.Client, error) {
	return rest.HTTPClientFor(&rest.Config{BearerToken: token, TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
}
