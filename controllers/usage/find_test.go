// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestFindsUse has two members granted on one repository, and one of them on another.
func TestFindsUse(t *testing.T) {
	none := map[string]string{"services-nodes": "unused", "services-batch": "unused", "tools-nodes": "unused"}
	all := map[string]string{"services-nodes": "used", "services-batch": "used", "tools-nodes": "unused"}
	ofNodes := map[string]string{"services-nodes": "used", "services-batch": "unused", "tools-nodes": "unused"}
	inPhase := func(phase corev1.PodPhase) *corev1.Pod {
		pod := podOn("node-1", "web", image)
		pod.Status.Phase = phase
		return pod
	}
	deleted := podOn("node-1", "web", image)
	deleted.DeletionTimestamp, deleted.Finalizers = ptr.To(metav1.NewTime(now)), []string{"example.com/wait"}
	ephemeral := podOn("node-1", "web", otherImage)
	ephemeral.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Image: image}}}
	several := podOn("node-1", "web", image)
	several.Spec.InitContainers = []corev1.Container{{Image: toolImage}, {Image: otherImage}, {Image: image}}
	replicaSet := func(owners ...metav1.OwnerReference) *appsv1.ReplicaSet {
		meta := named("web-1")
		meta.OwnerReferences = owners
		return &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](0), Template: templateOf(image)}}
	}
	jobs := batchv1.JobSpec{Template: templateOf(image)}
	tests := map[string]struct {
		objects []client.Object
		forbid  bool
		want    map[string]string
		why     string
	}{
		"nothing":             {want: none},
		"other images only":   {objects: []client.Object{podOn("node-1", "web", otherImage), deployment("web", "docker.io/library/nginx", 1)}, want: none},
		"running pod":         {objects: []client.Object{inPhase(corev1.PodRunning)}, want: ofNodes},
		"pending pod":         {objects: []client.Object{inPhase(corev1.PodPending)}, want: ofNodes},
		"pod that is over":    {objects: []client.Object{inPhase(corev1.PodSucceeded)}, want: ofNodes},
		"pod that failed":     {objects: []client.Object{inPhase(corev1.PodFailed)}, want: ofNodes},
		"pod in a lost phase": {objects: []client.Object{inPhase(corev1.PodUnknown)}, want: ofNodes},
		"pod on its way out":  {objects: []client.Object{deleted}, want: ofNodes},
		"ephemeral container": {objects: []client.Object{ephemeral}, want: ofNodes},
		"several images":      {objects: []client.Object{several}, want: map[string]string{"services-nodes": "used", "services-batch": "unused", "tools-nodes": "used"}},
		"pods on both nodes":  {objects: []client.Object{podOn("node-1", "a", image), podOn("node-2", "b", image)}, want: all},
		"pod without a node":  {objects: []client.Object{podOn("", "web", image)}, want: all, why: "it may come to any"},
		"node of others":      {objects: []client.Object{podOn("node-3", "web", image)}, want: none, why: "its account is granted nothing here"},
		"node of nobody":      {objects: []client.Object{podOn("node-4", "web", image)}, want: none},
		"account unknown":     {objects: []client.Object{podOn("node-5", "web", image)}, want: all, why: "unknown never permits a revocation"},
		"node gone":           {objects: []client.Object{podOn("node-6", "web", image)}, want: all, why: "unknown never permits a revocation"},
		"node may not be read": {
			objects: []client.Object{podOn("node-1", "web", image)}, forbid: true, want: all, why: "unknown never permits a revocation",
		},
		"Deployment":                {objects: []client.Object{deployment("web", image, 2)}, want: all},
		"Deployment scaled to zero": {objects: []client.Object{deployment("web", image, 0)}, want: all, why: "it may be scaled up again"},
		"StatefulSet":               {objects: []client.Object{&appsv1.StatefulSet{ObjectMeta: named("web"), Spec: appsv1.StatefulSetSpec{Template: templateOf(image)}}}, want: all},
		"DaemonSet":                 {objects: []client.Object{&appsv1.DaemonSet{ObjectMeta: named("web"), Spec: appsv1.DaemonSetSpec{Template: templateOf(image)}}}, want: all},
		"CronJob": {objects: []client.Object{&batchv1.CronJob{ObjectMeta: named("web"), Spec: batchv1.CronJobSpec{
			Suspend: ptr.To(true), JobTemplate: batchv1.JobTemplateSpec{Spec: jobs},
		}}}, want: all},
		"Job":                        {objects: []client.Object{&batchv1.Job{ObjectMeta: named("web"), Spec: jobs}}, want: all},
		"ReplicaSet of nobody":       {objects: []client.Object{replicaSet()}, want: all},
		"ReplicaSet of a Rollout":    {objects: []client.Object{replicaSet(controlledBy("argoproj.io/v1alpha1", "Rollout")...)}, want: all},
		"ReplicaSet of its like":     {objects: []client.Object{replicaSet(controlledBy("apps/v1", "ReplicaSet")...)}, want: all},
		"ReplicaSet of another kind": {objects: []client.Object{replicaSet(controlledBy("example.com/v1", "Deployment")...)}, want: all, why: "a stranger's Deployment is not looked at"},
		"old ReplicaSet": {
			objects: []client.Object{deployment("web", otherImage, 1), replicaSet(controlledBy("apps/v1", "Deployment")...)}, want: none,
			why: "a Deployment's past is no use",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(tc.objects,
				granted("services-nodes", services, nodes), granted("services-batch", services, batch), granted("tools-nodes", tools, nodes),
				node("node-1", nodes), node("node-2", batch), node("node-3", "serviceAccount:others@acme-prod.iam.gserviceaccount.com"),
				node("node-4", "nobody"), node("node-5", "unreachable"))...)
			if tc.forbid {
				w.get = func() error { return apierrors.NewForbidden(corev1.Resource("nodes"), "node-1", nil) }
			}
			w.look()
			w.wantFindings(tc.want)
			if t.Failed() {
				t.Log(tc.why)
			}
		})
	}
}

// TestTakesNothingUnknown: a kind that is listed and not understood is no absence of use.
func TestTakesNothingUnknown(t *testing.T) {
	if err := newLook(nil, now).take(&corev1.Service{}); err == nil {
		t.Error("a Service was taken for something without use")
	}
}

// TestListsNoMoreThanItNeeds: the look is over as soon as every grant is seen in
// use, and no node is asked for that could tell nothing new.
func TestListsNoMoreThanItNeeds(t *testing.T) {
	w := newWorld(t, granted("g", services, nodes), deployment("web", image, 1), node("node-1", nodes))
	w.look()
	w.wantListed("Deployment")
	w.wantFindings(map[string]string{"g": "used"})

	w = newWorld(t, granted("a", services, nodes), granted("b", services, batch),
		node("node-1", nodes), node("node-2", nodes), podOn("node-1", "web-1", image), podOn("node-1", "web-2", image),
		podOn("node-2", "tool", toolImage), podOn("node-2", "other", otherImage))
	w.look()
	w.wantListed(everything...)
	if !slices.Equal(w.cloud.asked, []string{"node-1"}) {
		t.Errorf("asked for %v, want node-1 once: it alone has pods of the repository", w.cloud.asked)
	}

	w = newWorld(t, granted("a", services, nodes), node("node-1", nodes), node("node-2", nodes), podOn("node-1", "web-1", image), podOn("node-2", "web-2", image))
	w.look()
	if len(w.cloud.asked) != 1 {
		t.Errorf("asked for %v, want one of the two: either tells that the grant is in use", w.cloud.asked)
	}
}

// TestMemoryIsBounded walks through a cluster of many pods on many nodes: what is
// held never exceeds the grants and one page.
func TestMemoryIsBounded(t *testing.T) {
	const pods, size = 1200, 150
	objects := []client.Object{granted("a", services, nodes), granted("b", services, batch)}
	for i := range pods {
		name := fmt.Sprint("node-", i)
		// The account of none is granted anything, so that all are asked for.
		objects = append(objects, node(name, "serviceAccount:others@acme-prod.iam.gserviceaccount.com"), podOn(name, fmt.Sprint("web-", i), image),
			podOn(name, fmt.Sprint("other-", i), fmt.Sprintf("us-central1-docker.pkg.dev/acme-prod/other-%d/app:1", i)))
	}
	w := newWorld(t, objects...)
	w.pages.size = size
	for {
		lists, asked := w.pages.lists, len(w.cloud.asked)
		w.mustStep()
		if read, ask := w.pages.lists-lists, len(w.cloud.asked)-asked; read > 1 || ask > nodesAtOnce || read > 0 && ask > 0 {
			t.Fatalf("step %d read %d pages and asked for %d nodes", w.steps, read, ask)
		}
		if w.r.look == nil {
			break
		}
		if len(w.r.look.used) != 1 || len(w.r.look.used[services]) != 2 {
			t.Fatalf("step %d: more is held than the grants: %v", w.steps, w.r.look.used)
		}
		if len(w.r.look.asks) > size {
			t.Fatalf("step %d: %d nodes wait to be asked for, more than a page of %d has", w.steps, len(w.r.look.asks), size)
		}
	}
	if len(w.cloud.asked) != pods || w.pages.lists != len(kinds)-1+2*pods/size {
		t.Errorf("%d nodes were asked for and %d pages read, in %d steps", len(w.cloud.asked), w.pages.lists, w.steps)
	}
	w.wantFindings(map[string]string{"a": "unused", "b": "unused"})
}

// TestKindsAreUnderstood: everything that is listed can be taken.
func TestKindsAreUnderstood(t *testing.T) {
	w := newWorld(t, granted("g", tools, nodes), deployment("web", image, 1), podOn("node-1", "web", image),
		&appsv1.StatefulSet{ObjectMeta: named("web")}, &appsv1.DaemonSet{ObjectMeta: named("web")}, &appsv1.ReplicaSet{ObjectMeta: named("web")},
		&batchv1.Job{ObjectMeta: named("web")}, &batchv1.CronJob{ObjectMeta: named("web")})
	w.look()
	w.wantListed(everything...)
	if w.pages.lists != len(kinds) {
		t.Errorf("%d pages were read, want one of each kind", w.pages.lists)
	}
}
