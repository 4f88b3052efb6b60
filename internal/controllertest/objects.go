// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// Names of what most tests are about: an image in Services, and the account of the node
// that pulls it.
const (
	Image      = "us-central1-docker.pkg.dev/acme-prod/services/checkout:1.8.2"
	Account    = "gke-nodes@acme-prod.iam.gserviceaccount.com"
	Member     = "serviceAccount:" + Account
	ProviderID = "gce://acme-prod/us-central1-a/node-1"
	// Namespace is the namespace of all objects here that have one.
	Namespace = "shop"
)

var (
	// Start is the time at which an environment starts.
	Start = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	// Services is the repository of Image.
	Services = imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "services"}
)

// Denial is what containerd reports when the registry answers the pull of the image with 403.
func Denial(image string) string {
	host, path, _ := strings.Cut(image, "/")
	path, _, _ = strings.Cut(path, ":")
	return `failed to pull and unpack image "` + image + `": failed to resolve image: failed to authorize: failed to fetch oauth token: ` +
		`unexpected status from GET request to https://` + host + `/v2/token?scope=repository%3A` + strings.ReplaceAll(path, "/", "%2F") +
		`%3Apull&service=` + host + `: 403 Forbidden`
}

// DockerRepository is a repository that a grant can open, with the mode in Google's words.
func DockerRepository(mode string) diagnosis.Repository {
	return diagnosis.Repository{State: diagnosis.Present, Format: "DOCKER", Mode: mode}
}

// StandardRepository is the usual DockerRepository.
func StandardRepository() diagnosis.Repository { return DockerRepository("STANDARD_REPOSITORY") }

// NodeAccount is the account of a node that may use all APIs.
func NodeAccount(email string) diagnosis.Puller {
	return diagnosis.Puller{State: diagnosis.Present, Email: email, Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"}}
}

// Policy is the policy "prod", which enforces for all pods, Services and the accounts of
// its project.
func Policy(edits ...func(*v1alpha1.PullAccessPolicy)) *v1alpha1.PullAccessPolicy {
	return edited(&v1alpha1.PullAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "prod", Generation: 1},
		Spec: v1alpha1.PullAccessPolicySpec{
			Mode:                v1alpha1.ModeEnforce,
			NamespaceSelector:   &metav1.LabelSelector{},
			PodSelector:         &metav1.LabelSelector{},
			Repositories:        []v1alpha1.RepositoryPattern{{Project: Services.Project, Location: Services.Location, Name: Services.Name}},
			NodeServiceAccounts: []string{"*@acme-prod.iam.gserviceaccount.com"},
		},
	}, edits)
}

// Grant is a grant of the member on Services as a failing pod of Deployment web requests it
// under policy "prod".
func Grant(member string, edits ...func(*v1alpha1.PullAccessGrant)) *v1alpha1.PullAccessGrant {
	return edited(&v1alpha1.PullAccessGrant{
		ObjectMeta: metav1.ObjectMeta{Name: decision.GrantName(Services, member), Generation: 1},
		Spec: v1alpha1.PullAccessGrantSpec{
			Repository: Services.Record(), Member: member, Policy: "prod", Workload: Workload("Deployment", "web"),
		},
	}, edits)
}

// Workload refers to a workload.
func Workload(kind, name string) v1alpha1.Workload {
	return v1alpha1.Workload{Kind: kind, Namespace: Namespace, Name: name, UID: types.UID("uid-" + name)}
}

// Waiting is a workload of a grant that waits for access under policy "prod".
func Waiting(kind, name string) v1alpha1.WorkloadStatus {
	return v1alpha1.WorkloadStatus{Workload: Workload(kind, name), Policy: "prod", State: v1alpha1.WorkloadWaiting}
}

// Meta is the metadata of the object of that name.
func Meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: Namespace, Name: name, UID: types.UID("uid-" + name)}
}

// ControlledBy is the owner reference of what the object of that kind and name controls.
func ControlledBy(apiVersion, kind, name string) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: name, UID: types.UID("uid-" + name), Controller: ptr.To(true)}
}

// Pod is a pod on the node, with one container "app".
func Pod(node, name, image string, edits ...func(*corev1.Pod)) *corev1.Pod {
	return edited(&corev1.Pod{
		ObjectMeta: Meta(name),
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "app", Image: image}}},
	}, edits)
}

// InState has the pod's container "app" be in the state.
func InState(state corev1.ContainerState) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: state}}
	}
}

// Failing has the kubelet report that container "app" waits, and why.
func Failing(reason, message string) func(*corev1.Pod) {
	return InState(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
}

// Started has container "app" run since then.
func Started(at time.Time) func(*corev1.Pod) {
	return InState(corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(at)}})
}

// Template is the pod template of a workload that runs the image.
func Template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: Pod("", "", image).Spec}
}

// Deployment is a Deployment of one replica.
func Deployment(name, image string, edits ...func(*appsv1.Deployment)) *appsv1.Deployment {
	return edited(&appsv1.Deployment{
		ObjectMeta: Meta(name), Spec: appsv1.DeploymentSpec{Replicas: ptr.To[int32](1), Template: Template(image)},
	}, edits)
}

// ReplicaSet is a ReplicaSet of no replicas, with its owners.
func ReplicaSet(name, image string, owners ...metav1.OwnerReference) *appsv1.ReplicaSet {
	meta := Meta(name)
	meta.OwnerReferences = owners
	return &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](0), Template: Template(image)}}
}

// Node is a node with that provider ID.
func Node(name, providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: providerID}}
}

// edited applies the edits to the object.
func edited[T any](object T, edits []func(T)) T {
	for _, edit := range edits {
		edit(object)
	}
	return object
}
