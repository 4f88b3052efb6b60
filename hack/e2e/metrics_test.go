// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/pull-access/pull-access-operator/hack/cluster"
)

// ownSeries is a series that /metrics always shows.
const ownSeries = "pullaccess_active_grants"

// TestMetricsNeedTheRight reads the metrics without a token, as an account without rights, and as an account with the
// ClusterRole.
func TestMetricsNeedTheRight(t *testing.T) {
	o := newLab(t).operator(t)
	createUntilEnd(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "no-rights", Namespace: metav1.NamespaceDefault}})
	token := func(name string) string {
		token, err := shared.ServiceAccountToken(t.Context(), metav1.NamespaceDefault, name)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, tc := range map[string]struct {
		token string
		want  []int
	}{
		"no token": {"", []int{http.StatusUnauthorized}},
		// controller-runtime 0.25 answers 500 to a token that the API server does not know.
		"token of nobody":       {"made-up", []int{http.StatusUnauthorized, http.StatusInternalServerError}},
		"token without a right": {token("no-rights"), []int{http.StatusForbidden}},
		"token with the role":   {token(cluster.MetricsAccount), []int{http.StatusOK}},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := cluster.TokenClient(tc.token)
			if err != nil {
				t.Fatal(err)
			}
			code, body := o.scrape(t, client, "https", "/metrics")
			if shows := strings.Contains(body, ownSeries); !slices.Contains(tc.want, code) || shows != slices.Contains(tc.want, http.StatusOK) {
				t.Errorf("/metrics answers %d, want one of %v: %s", code, tc.want, body)
			}
		})
	}
	// Plain HTTP to the HTTPS port shows nothing either.
	if code, body := o.scrape(t, http.DefaultClient, "http", "/metrics"); code == http.StatusOK || strings.Contains(body, ownSeries) {
		t.Errorf("over plain HTTP it answers %d: %s", code, body)
	}
}

// scrape waits for the metrics and reads them, because the operator may serve them moments after it
// is ready.
func (o *operator) scrape(t *testing.T, client *http.Client, scheme, path string) (code int, body string) {
	t.Helper()
	eventually(t, path+" is served", func(ctx context.Context) (bool, any) {
		code, body = getWith(ctx, client, scheme+"://"+o.Metrics+path)
		return code != 0, body
	})
	return code, body
}

// TestMetricsWithoutAuthentication checks that --metrics-secure=false serves the metrics over HTTP
// without authentication.
func TestMetricsWithoutAuthentication(t *testing.T) {
	o := startOperator(t, launch{endpoint: newLab(t).cloud.URL(), args: []string{"--metrics-secure=false"}})
	if code, body := o.scrape(t, http.DefaultClient, "http", "/metrics"); code != http.StatusOK || !strings.Contains(body, ownSeries) {
		t.Errorf("/metrics answers %d: %s", code, body)
	}
}

// podMonitoring is the part of GKE's PodMonitoring that tells the collector how to scrape.
type podMonitoring struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port, Path, Scheme, Interval string
			TLS                          struct {
				InsecureSkipVerify bool `json:"insecureSkipVerify"`
			} `json:"tls"`
			Authorization struct {
				Type        string
				Credentials struct {
					Secret struct{ Name, Key string }
				}
			}
		} `json:"endpoints"`
	} `json:"spec"`
}

// TestManagedCollectorScrapes installs the component for GKE's managed collector and scrapes as the collector does. The
// collector's account may read the Secret in PodMonitoring, and nothing else of the namespace.
func TestManagedCollectorScrapes(t *testing.T) {
	folder := filepath.Join(shared.root, "config", "components", "google-managed-prometheus")
	files := []string{"-f", filepath.Join(folder, "scraper.yaml"), "-f", filepath.Join(folder, "secret_reader.yaml")}
	if _, err := shared.Kubectl(t.Context(), append([]string{"apply", "--server-side"}, files...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The control plane deletes the Secret with its service account.
		if _, err := shared.Kubectl(context.WithoutCancel(t.Context()), append([]string{"delete", "--ignore-not-found"}, files...)...); err != nil {
			t.Error(err)
		}
	})
	data, err := os.ReadFile(filepath.Join(folder, "pod_monitoring.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var monitoring podMonitoring
	if err := yaml.UnmarshalStrict(data, &monitoring); err != nil {
		t.Fatal(err)
	}
	var installed appsv1.Deployment
	if err := shared.client.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}, &installed); err != nil {
		t.Fatal(err)
	}
	endpoint := monitoring.Spec.Endpoints[0]
	if !servesPort(&installed, endpoint.Port) {
		t.Errorf("the operator's pods have no port %s", endpoint.Port)
	}
	o := newLab(t).operator(t)
	for _, namespace := range []string{"gmp-system", "gke-gmp-system"} {
		t.Run(namespace, func(t *testing.T) {
			secret := endpoint.Authorization.Credentials.Secret
			scraper, err := cluster.TokenClient(readAs(t, namespace, secret.Name, secret.Key))
			if err != nil {
				t.Fatal(err)
			}
			code, body := o.scrape(t, scraper, endpoint.Scheme, endpoint.Path)
			if code != http.StatusOK || !strings.Contains(body, ownSeries) {
				t.Errorf("the scrape answers %d: %s", code, body)
			}
		})
	}
}

func servesPort(d *appsv1.Deployment, name string) bool {
	for _, port := range d.Spec.Template.Spec.Containers[0].Ports {
		if port.Name == name {
			return true
		}
	}
	return false
}

// readAs waits until the control plane has written a key of a Secret, and reads it as the collector of the given namespace.
func readAs(t *testing.T, namespace, name, key string) string {
	t.Helper()
	config := rest.CopyConfig(shared.Config)
	config.Impersonate.UserName = "system:serviceaccount:" + namespace + ":collector"
	collector, err := client.New(config, client.Options{Scheme: shared.client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	eventually(t, "the collector reads the token", func(ctx context.Context) (bool, any) {
		err := collector.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: name}, &secret)
		return err == nil && len(secret.Data[key]) > 0, err
	})
	if err := collector.List(t.Context(), &corev1.SecretList{}, client.InNamespace(operatorNamespace)); err == nil {
		t.Error("the collector may read every Secret of the namespace")
	}
	return string(secret.Data[key])
}
