// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

const operator = "pull-access-operator"

// render returns the objects of config/default with these components of config, as kubectl apply -k sends them.
func render(t *testing.T, components ...string) []*unstructured.Unstructured {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	relative := func(folder string) string {
		absolute, err := filepath.Abs(filepath.Join("..", "config", folder))
		if err != nil {
			t.Fatal(err)
		}
		path, err := filepath.Rel(dir, absolute)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := "resources: [" + relative("default") + "]\ncomponents:\n"
	for _, component := range components {
		text += "  - " + relative(filepath.Join("components", component)) + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	infos, err := resource.NewLocalBuilder().Unstructured().
		FilenameParam(false, &resource.FilenameOptions{Kustomize: dir}).Flatten().Do().Infos()
	if err != nil {
		t.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for _, info := range infos {
		object, ok := info.Object.(*unstructured.Unstructured)
		if !ok {
			t.Fatalf("%s is a %T", info.Name, info.Object)
		}
		objects = append(objects, object)
	}
	return objects
}

// rendered returns the only object of this kind and name. It rejects unknown fields.
func rendered[T any](t *testing.T, objects []*unstructured.Unstructured, kind, name string) T {
	t.Helper()
	var found T
	at := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind && o.GetName() == name })
	if at < 0 {
		t.Fatalf("no %s %s is installed", kind, name)
	}
	data, err := objects[at].MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(data, &found); err != nil {
		t.Fatalf("%s %s: %v", kind, name, err)
	}
	return found
}

// TestPodIsHardened compares the whole security contexts, with and without all components. Each must match the level restricted
// exactly.
func TestPodIsHardened(t *testing.T) {
	for _, components := range [][]string{nil, {"pull-secrets", "google-managed-prometheus"}} {
		objects := render(t, components...)
		pod := rendered[appsv1.Deployment](t, objects, "Deployment", operator).Spec.Template.Spec
		if pod.HostNetwork || pod.HostPID || pod.HostIPC || pod.HostUsers != nil || len(pod.Volumes) > 0 || len(pod.InitContainers) > 0 {
			t.Error("the pod shares something with its node, mounts something, or runs more than the operator")
		}
		if len(pod.Containers) != 1 {
			t.Fatalf("the pod has %d containers, want the operator's", len(pod.Containers))
		}
		wantPod := &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](65532), RunAsGroup: ptr.To[int64](65532),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}
		if diff := cmp.Diff(wantPod, pod.SecurityContext); diff != "" {
			t.Errorf("the pod's security context (-want +got):\n%s", diff)
		}
		wantContainer := &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
		if diff := cmp.Diff(wantContainer, pod.Containers[0].SecurityContext); diff != "" {
			t.Errorf("the container's security context (-want +got):\n%s", diff)
		}
		namespace := rendered[corev1.Namespace](t, objects, "Namespace", "pull-access-system")
		if level := namespace.Labels["pod-security.kubernetes.io/enforce"]; level != "restricted" {
			t.Errorf("the namespace enforces the level %q, want restricted", level)
		}
	}
}

// TestOperatorKeepsRunning checks the PodDisruptionBudget, the priority class, and the quota that GKE requires for that
// class.
func TestOperatorKeepsRunning(t *testing.T) {
	objects := render(t)
	deployment := rendered[appsv1.Deployment](t, objects, "Deployment", operator)
	if replicas := ptr.Deref(deployment.Spec.Replicas, 1); replicas < 2 {
		t.Errorf("%d replicas run, want one to take over from the other", replicas)
	}
	budget := rendered[policyv1.PodDisruptionBudget](t, objects, "PodDisruptionBudget", operator)
	wantBudget := policyv1.PodDisruptionBudgetSpec{
		MaxUnavailable: budget.Spec.MaxUnavailable, Selector: deployment.Spec.Selector,
		UnhealthyPodEvictionPolicy: ptr.To(policyv1.AlwaysAllow),
	}
	if diff := cmp.Diff(wantBudget, budget.Spec); diff != "" || budget.Namespace != deployment.Namespace {
		t.Errorf("the budget of %s (-want +got):\n%s", budget.Namespace, diff)
	}
	// minAvailable would block the eviction of a Deployment's only replica.
	if unavailable := budget.Spec.MaxUnavailable; unavailable == nil || unavailable.IntValue() != 1 {
		t.Errorf("a drain may take %v replicas, want one at a time", unavailable)
	}

	class := deployment.Spec.Template.Spec.PriorityClassName
	if class != "system-cluster-critical" {
		t.Errorf("the pods have the priority class %q", class)
	}
	quota := rendered[corev1.ResourceQuota](t, objects, "ResourceQuota", operator+"-critical-pods")
	wantScope := &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{
		ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: corev1.ScopeSelectorOpIn, Values: []string{class},
	}}}
	if diff := cmp.Diff(wantScope, quota.Spec.ScopeSelector); diff != "" || quota.Namespace != deployment.Namespace {
		t.Errorf("the quota of %s is for other pods (-want +got):\n%s", quota.Namespace, diff)
	}
	// During a second rollout, pods of three revisions may exist.
	if pods := quota.Spec.Hard.Pods().Value(); len(quota.Spec.Hard) != 1 || pods < 3*int64(*deployment.Spec.Replicas) || pods > 20 {
		t.Errorf("the quota is %v", quota.Spec.Hard)
	}
}

// scrape is the scrape configuration of a monitor's endpoint.
type scrape struct {
	Port, Path, Scheme, BearerTokenFile, Interval string
	TLSConfig, TLS                                struct{ InsecureSkipVerify bool }
	Authorization                                 struct {
		Type        string
		Credentials struct{ Secret struct{ Name, Key string } }
	}
}

// monitor is a ServiceMonitor or a PodMonitoring.
type monitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector
		Endpoints []scrape
	}
}

// TestMonitorsFindTheMetrics checks that both monitors select the installed objects, scrape the metrics port over HTTPS, and
// send a token.
func TestMonitorsFindTheMetrics(t *testing.T) {
	objects := render(t, "google-managed-prometheus")
	deployment := rendered[appsv1.Deployment](t, objects, "Deployment", operator)
	service := rendered[corev1.Service](t, objects, "Service", operator+"-metrics")
	container := &deployment.Spec.Template.Spec.Containers[0]
	port := metricsPort(t, container)
	if slices.ContainsFunc(container.Args, func(arg string) bool { return strings.HasPrefix(arg, "--metrics-secure") }) {
		t.Errorf("the operator is installed with %v", container.Args)
	}
	if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(deployment.Spec.Template.Labels)) ||
		len(service.Spec.Ports) != 1 || service.Spec.Ports[0].TargetPort.String() != port {
		t.Errorf("the Service does not lead to port %s of the operator's pods", port)
	}

	serviceMonitor := manifest[monitor](t, "prometheus/service_monitor.yaml")
	endpoint := wantMonitor(t, &serviceMonitor, service.Namespace, service.Labels, service.Spec.Ports[0].Name)
	if endpoint.BearerTokenFile != "/var/run/secrets/kubernetes.io/serviceaccount/token" || !endpoint.TLSConfig.InsecureSkipVerify {
		t.Errorf("the ServiceMonitor does not fit a self-signed certificate and a token: %+v", endpoint)
	}

	podMonitoring := rendered[monitor](t, objects, "PodMonitoring", operator)
	endpoint = wantMonitor(t, &podMonitoring, deployment.Namespace, deployment.Spec.Template.Labels, port)
	if endpoint.Authorization.Type != "Bearer" || !endpoint.TLS.InsecureSkipVerify {
		t.Errorf("the PodMonitoring does not fit a self-signed certificate and a token: %+v", endpoint)
	}
	reference := endpoint.Authorization.Credentials.Secret
	secret := rendered[corev1.Secret](t, objects, "Secret", reference.Name)
	if secret.Namespace != podMonitoring.Namespace || secret.Type != corev1.SecretTypeServiceAccountToken ||
		reference.Key != corev1.ServiceAccountTokenKey || len(secret.Data)+len(secret.StringData) > 0 {
		t.Errorf("the control plane does not write key %s of Secret %s/%s", reference.Key, secret.Namespace, secret.Name)
	}
}

// metricsPort is the name of the metrics port.
func metricsPort(t *testing.T, container *corev1.Container) string {
	t.Helper()
	for _, port := range container.Ports {
		if slices.Contains(container.Args, fmt.Sprintf("--metrics-bind-address=:%d", port.ContainerPort)) {
			return port.Name
		}
	}
	t.Fatalf("no port of %v serves metrics at %v", container.Ports, container.Args)
	return ""
}

// wantMonitor checks that a monitor selects these labels and scrapes this port. It returns the scrape
// configuration.
func wantMonitor(t *testing.T, m *monitor, namespace string, set map[string]string, port string) scrape {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
	if err != nil || selector.Empty() || !selector.Matches(labels.Set(set)) || m.Namespace != namespace {
		t.Errorf("%s of %s does not select the operator: %v", m.Kind, m.Namespace, err)
	}
	if len(m.Spec.Endpoints) != 1 {
		t.Fatalf("%s has %d endpoints, want one", m.Kind, len(m.Spec.Endpoints))
	}
	endpoint := m.Spec.Endpoints[0]
	if endpoint.Port != port || endpoint.Scheme != "https" || endpoint.Path != "/metrics" {
		t.Errorf("%s scrapes %+v, want https and /metrics at port %s", m.Kind, endpoint, port)
	}
	return endpoint
}

// TestMetricsReaders checks that the role for scrapers reads /metrics only. Only the component for GKE's collector may bind
// it, to an account without other rights.
func TestMetricsReaders(t *testing.T) {
	objects := render(t, "google-managed-prometheus", "pull-secrets")
	role := rendered[rbacv1.ClusterRole](t, objects, "ClusterRole", "pull-access-metrics-reader")
	want := []rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}}}
	if diff := cmp.Diff(want, role.Rules); diff != "" || len(role.Labels) > 0 || role.AggregationRule != nil {
		t.Errorf("the role for scrapers (-want +got):\n%s", diff)
	}
	var bound []string
	for _, object := range objects {
		if !strings.HasSuffix(object.GetKind(), "RoleBinding") {
			continue
		}
		binding := rendered[rbacv1.ClusterRoleBinding](t, objects, object.GetKind(), object.GetName())
		for _, subject := range binding.Subjects {
			if subject.Name != operator {
				bound = append(bound, subject.Namespace+"/"+subject.Name+" "+binding.RoleRef.Name)
			}
		}
	}
	slices.Sort(bound)
	wantBound := []string{
		"gke-gmp-system/collector pull-access-metrics-scraper-reader",
		"gmp-system/collector pull-access-metrics-scraper-reader",
		"pull-access-system/pull-access-metrics-scraper pull-access-metrics-reader",
	}
	if diff := cmp.Diff(wantBound, bound); diff != "" {
		t.Errorf("who besides the operator is given rights (-want +got):\n%s", diff)
	}
	reader := rendered[rbacv1.Role](t, objects, "Role", "pull-access-metrics-scraper-reader")
	wantReader := []rbacv1.PolicyRule{{
		Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"secrets"},
		ResourceNames: []string{"pull-access-metrics-scraper"},
	}}
	if diff := cmp.Diff(wantReader, reader.Rules); diff != "" {
		t.Errorf("what GKE's collector may read (-want +got):\n%s", diff)
	}
}
