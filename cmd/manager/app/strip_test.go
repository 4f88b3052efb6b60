// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/metrics"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// ballast marks what nobody reads.
const ballast = "BALLAST"

func waiting(name, reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: name, Image: ballast, ImageID: ballast,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}
}

func containerOf(name, image string) corev1.Container {
	return corev1.Container{
		Name: name, Image: image, Command: []string{ballast},
		Env: []corev1.EnvVar{{Name: "PASSWORD", Value: ballast}}, VolumeMounts: []corev1.VolumeMount{{Name: ballast}},
	}
}

// fullPod cannot pull in every way that there is, and carries what pods carry.
func fullPod() *corev1.Pod {
	then := metav1.NewTime(time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC))
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web-1-x", UID: "uid-x", ResourceVersion: "7", CreationTimestamp: then, DeletionTimestamp: &then,
			Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"a": ballast},
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: ballast, Kind: ballast, Name: ballast, UID: ballast},
				{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-1", UID: "uid-web-1", Controller: ptr.To(true)},
			},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: ballast}}, Finalizers: []string{ballast},
		},
		Spec: corev1.PodSpec{
			NodeName: "node-1", ServiceAccountName: "shopper", ImagePullSecrets: []corev1.LocalObjectReference{{Name: "key"}},
			InitContainers:      []corev1.Container{containerOf("init", "i")},
			Containers:          []corev1.Container{containerOf("app", "a"), containerOf("ok", "o"), containerOf("data", "d")},
			EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon(containerOf("debug", "e"))}},
			Volumes: []corev1.Volume{
				{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "v"}}},
				{Name: ballast, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
			Tolerations: []corev1.Toleration{{Key: ballast}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodPending, Message: ballast,
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Message: ballast},
				{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue, LastTransitionTime: then, Message: ballast},
			},
			InitContainerStatuses: []corev1.ContainerStatus{waiting("init", "ImagePullBackOff", "m1")},
			ContainerStatuses: []corev1.ContainerStatus{
				waiting("app", "ErrImagePull", "m2"),
				{Name: "ok", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: then}}, ContainerID: ballast},
				waiting("data", "ErrImagePull", `failed to pull image "v"`),
			},
			EphemeralContainerStatuses: []corev1.ContainerStatus{waiting("debug", "InvalidImageName", "m3")},
		},
	}
}

// TestStripPodKeepsWhatIsRead: each reader comes to the same on the pod that is held.
func TestStripPodKeepsWhatIsRead(t *testing.T) {
	pod := fullPod()
	slim := strip(t, fullPod())
	failures := pullfailure.InPod(pod)
	if len(failures) != 4 || !slices.ContainsFunc(failures, func(f pullfailure.Failure) bool { return f.Image == "v" }) {
		t.Fatalf("the full pod shows %+v, which tries too little", failures)
	}
	if diff := cmp.Diff(failures, pullfailure.InPod(slim)); diff != "" {
		t.Errorf("failures (-full +stripped):\n%s", diff)
	}
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web-1", UID: "uid-web-1",
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "uid-web", Controller: ptr.To(true)}},
	}}
	owners := workload.NewOwners(fake.NewClientBuilder().WithObjects(set).Build())
	for name, p := range map[string]*corev1.Pod{"full": pod, "stripped": slim} {
		want := v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "web", UID: "uid-web"}
		if got, err := owners.Of(t.Context(), p); err != nil || got != want {
			t.Errorf("owner of the %s pod is %+v, %v; want %+v", name, got, err, want)
		}
	}
	type read struct {
		Namespace, Name, Version, Node, Account string
		UID                                     types.UID
		Secrets                                 []corev1.LocalObjectReference
		Labels                                  map[string]string
		Created                                 metav1.Time
		Deleted                                 *metav1.Time
		Phase                                   corev1.PodPhase
	}
	of := func(p *corev1.Pod) read {
		return read{
			p.Namespace, p.Name, p.ResourceVersion, p.Spec.NodeName, p.Spec.ServiceAccountName, p.UID,
			p.Spec.ImagePullSecrets, p.Labels, p.CreationTimestamp, p.DeletionTimestamp, p.Status.Phase,
		}
	}
	if diff := cmp.Diff(of(pod), of(slim)); diff != "" {
		t.Errorf("what the controllers read besides (-full +stripped):\n%s", diff)
	}
}

func strip(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	stripped, err := stripPod(pod)
	if err != nil {
		t.Fatal(err)
	}
	slim, ok := stripped.(*corev1.Pod)
	if !ok {
		t.Fatalf("stripPod made a %T of a pod", stripped)
	}
	return slim
}

func TestStripPodDropsTheRest(t *testing.T) {
	text, err := json.Marshal(strip(t, fullPod()))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), ballast) {
		t.Errorf("ballast is held: %s", text)
	}
	again := strip(t, strip(t, fullPod()))
	if diff := cmp.Diff(strip(t, fullPod()), again); diff != "" {
		t.Errorf("stripped twice (-once +twice):\n%s", diff)
	}
}

func TestStripPodPassesOthersOn(t *testing.T) {
	for _, object := range []any{cache.DeletedFinalStateUnknown{Key: "shop/web"}, &corev1.Node{}, nil} {
		if got, err := stripPod(object); err != nil || !cmp.Equal(got, object) {
			t.Errorf("stripPod(%T) = %v, %v", object, got, err)
		}
	}
}

// TestCacheHoldsPendingPodsOnly: what healthy pods cost follows from it.
func TestCacheHoldsPendingPodsOnly(t *testing.T) {
	options := cacheOptions()
	found := false
	for object, of := range options.ByObject {
		if _, ok := object.(*corev1.Pod); !ok {
			continue
		}
		found = true
		if got := of.Field.String(); got != "status.phase=Pending" {
			t.Errorf("pods are selected by %q", got)
		}
		if of.Transform == nil {
			t.Error("pods are held whole")
		}
	}
	if !found || options.DefaultTransform == nil {
		t.Errorf("pods have settings of their own: %v; others are stripped: %v", found, options.DefaultTransform != nil)
	}
}

func TestStanding(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	granted := &v1alpha1.PullAccessGrant{ObjectMeta: metav1.ObjectMeta{Name: "granted"}}
	grantstatus.Grant(granted, v1alpha1.OriginAdded, "etag", time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC))
	granted.Status.Workloads = []v1alpha1.WorkloadStatus{
		{Workload: v1alpha1.Workload{Name: "a"}, State: v1alpha1.WorkloadWaiting},
		{Workload: v1alpha1.Workload{Name: "b"}, State: v1alpha1.WorkloadRecovered},
		{Workload: v1alpha1.Workload{Name: "c"}, State: v1alpha1.WorkloadStuck},
		{Workload: v1alpha1.Workload{Name: "d"}, State: v1alpha1.WorkloadGone},
		{Workload: v1alpha1.Workload{Name: "e"}, State: v1alpha1.WorkloadRestarting},
	}
	meant := &v1alpha1.PullAccessGrant{ObjectMeta: metav1.ObjectMeta{Name: "meant"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(granted, meant).Build()
	want := metrics.Standing{ActiveGrants: 1, StuckWorkloads: 3}
	if got := standing(t.Context(), c); got != want {
		t.Errorf("standing = %+v, want %+v", got, want)
	}
	if got := standing(t.Context(), fake.NewClientBuilder().WithScheme(runtime.NewScheme()).Build()); got != (metrics.Standing{}) {
		t.Errorf("of what cannot be listed, standing = %+v", got)
	}
}
