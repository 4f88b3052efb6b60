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

	"github.com/pull-access/pull-access-operator/internal/controllertest"
)

// TestFindsUse has two members granted on one repository, and one of them on another.
func TestFindsUse(t *testing.T) {
	none := map[string]string{"services-nodes": "unused", "services-batch": "unused", "tools-nodes": "unused"}
	all := map[string]string{"services-nodes": "used", "services-batch": "used", "tools-nodes": "unused"}
	ofNodes := map[string]string{"services-nodes": "used", "services-batch": "unused", "tools-nodes": "unused"}
	inPhase := func(phase corev1.PodPhase) *corev1.Pod {
		pod := controllertest.Pod("node-1", "web", image)
		pod.Status.Phase = phase
		return pod
	}
	deleted := controllertest.Pod("node-1", "web", image)
	deleted.DeletionTimestamp, deleted.Finalizers = ptr.To(metav1.NewTime(now)), []string{"example.com/wait"}
	ephemeral := controllertest.Pod("node-1", "web", otherImage)
	ephemeral.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Image: image}}}
	several := controllertest.Pod("node-1", "web", image)
	several.Spec.InitContainers = []corev1.Container{{Image: toolImage}, {Image: otherImage}, {Image: image}}
	replicaSet := func(owners ...metav1.OwnerReference) *appsv1.ReplicaSet {
		return controllertest.ReplicaSet("web-1", image, owners...)
	}
	jobs := batchv1.JobSpec{Template: controllertest.Template(image)}
	tests := map[string]struct {
		objects []client.Object
		forbid  bool
		want    map[string]string
		why     string
	}{
		"nothing":             {want: none},
		"other images only":   {objects: []client.Object{controllertest.Pod("node-1", "web", otherImage), controllertest.Deployment("web", "docker.io/library/nginx")}, want: none},
		"running pod":         {objects: []client.Object{inPhase(corev1.PodRunning)}, want: ofNodes},
		"pending pod":         {objects: []client.Object{inPhase(corev1.PodPending)}, want: ofNodes},
		"pod that is over":    {objects: []client.Object{inPhase(corev1.PodSucceeded)}, want: ofNodes},
		"pod that failed":     {objects: []client.Object{inPhase(corev1.PodFailed)}, want: ofNodes},
		"pod in a lost phase": {objects: []client.Object{inPhase(corev1.PodUnknown)}, want: ofNodes},
		"pod on its way out":  {objects: []client.Object{deleted}, want: ofNodes},
		"ephemeral container": {objects: []client.Object{ephemeral}, want: ofNodes},
		"several images":      {objects: []client.Object{several}, want: map[string]string{"services-nodes": "used", "services-batch": "unused", "tools-nodes": "used"}},
		"pods on both nodes":  {objects: []client.Object{controllertest.Pod("node-1", "a", image), controllertest.Pod("node-2", "b", image)}, want: all},
		"pod without a node":  {objects: []client.Object{controllertest.Pod("", "web", image)}, want: all, why: "it may come to any"},
		"node of others":      {objects: []client.Object{controllertest.Pod("node-3", "web", image)}, want: none, why: "its account is granted nothing here"},
		"node of nobody":      {objects: []client.Object{controllertest.Pod("node-4", "web", image)}, want: none},
		"account unknown":     {objects: []client.Object{controllertest.Pod("node-5", "web", image)}, want: all, why: "unknown never permits a revocation"},
		"node gone":           {objects: []client.Object{controllertest.Pod("node-6", "web", image)}, want: all, why: "unknown never permits a revocation"},
		"node may not be read": {
			objects: []client.Object{controllertest.Pod("node-1", "web", image)}, forbid: true, want: all, why: "unknown never permits a revocation",
		},
		"Deployment":                {objects: []client.Object{controllertest.Deployment("web", image, replicas(2))}, want: all},
		"Deployment scaled to zero": {objects: []client.Object{controllertest.Deployment("web", image, replicas(0))}, want: all, why: "it may be scaled up again"},
		"StatefulSet":               {objects: []client.Object{&appsv1.StatefulSet{ObjectMeta: named("web"), Spec: appsv1.StatefulSetSpec{Template: controllertest.Template(image)}}}, want: all},
		"DaemonSet":                 {objects: []client.Object{&appsv1.DaemonSet{ObjectMeta: named("web"), Spec: appsv1.DaemonSetSpec{Template: controllertest.Template(image)}}}, want: all},
		"CronJob": {objects: []client.Object{&batchv1.CronJob{ObjectMeta: named("web"), Spec: batchv1.CronJobSpec{
			Suspend: ptr.To(true), JobTemplate: batchv1.JobTemplateSpec{Spec: jobs},
		}}}, want: all},
		"Job":                        {objects: []client.Object{&batchv1.Job{ObjectMeta: named("web"), Spec: jobs}}, want: all},
		"ReplicaSet of nobody":       {objects: []client.Object{replicaSet()}, want: all},
		"ReplicaSet of a Rollout":    {objects: []client.Object{replicaSet(controllertest.ControlledBy("argoproj.io/v1alpha1", "Rollout", "web"))}, want: all},
		"ReplicaSet of its like":     {objects: []client.Object{replicaSet(controllertest.ControlledBy("apps/v1", "ReplicaSet", "web"))}, want: all},
		"ReplicaSet of another kind": {objects: []client.Object{replicaSet(controllertest.ControlledBy("example.com/v1", "Deployment", "web"))}, want: all, why: "a stranger's Deployment is not looked at"},
		"old ReplicaSet": {
			objects: []client.Object{controllertest.Deployment("web", otherImage), replicaSet(controllertest.ControlledBy("apps/v1", "Deployment", "web"))}, want: none,
			why: "a Deployment's past is no use",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, append(tc.objects,
				granted("services-nodes", services, nodes), granted("services-batch", services, batch), granted("tools-nodes", tools, nodes),
				controllertest.Node("node-1", nodes), controllertest.Node("node-2", batch), controllertest.Node("node-3", "serviceAccount:others@acme-prod.iam.gserviceaccount.com"),
				controllertest.Node("node-4", "nobody"), controllertest.Node("node-5", "unreachable"))...)
			if tc.forbid {
				e.failNodes(apierrors.NewForbidden(corev1.Resource("nodes"), "node-1", nil))
			}
			e.look()
			e.wantFindings(tc.want)
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
	e := newEnv(t, granted("g", services, nodes), controllertest.Deployment("web", image), controllertest.Node("node-1", nodes))
	e.look()
	e.wantListed("Deployment")
	e.wantFindings(map[string]string{"g": "used"})

	e = newEnv(t, granted("a", services, nodes), granted("b", services, batch),
		controllertest.Node("node-1", nodes), controllertest.Node("node-2", nodes), controllertest.Pod("node-1", "web-1", image), controllertest.Pod("node-1", "web-2", image),
		controllertest.Pod("node-2", "tool", toolImage), controllertest.Pod("node-2", "other", otherImage))
	e.look()
	e.wantListed(everything...)
	if !slices.Equal(e.asked(), []string{"node-1 " + nodes}) {
		t.Errorf("asked for %v, want node-1 once: it alone has pods of the repository", e.asked())
	}

	e = newEnv(t, granted("a", services, nodes), controllertest.Node("node-1", nodes), controllertest.Node("node-2", nodes), controllertest.Pod("node-1", "web-1", image), controllertest.Pod("node-2", "web-2", image))
	e.look()
	if len(e.asked()) != 1 {
		t.Errorf("asked for %v, want one of the two: either tells that the grant is in use", e.asked())
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
		objects = append(objects, controllertest.Node(name, "serviceAccount:others@acme-prod.iam.gserviceaccount.com"), controllertest.Pod(name, fmt.Sprint("web-", i), image),
			controllertest.Pod(name, fmt.Sprint("other-", i), fmt.Sprintf("us-central1-docker.pkg.dev/acme-prod/other-%d/app:1", i)))
	}
	e := newEnv(t, objects...)
	e.Lister.Size = size
	for {
		lists, asked := e.Lister.Pages, len(e.asked())
		e.mustStep()
		if read, ask := e.Lister.Pages-lists, len(e.asked())-asked; read > 1 || ask > nodesAtOnce || read > 0 && ask > 0 {
			t.Fatalf("step %d read %d pages and asked for %d nodes", e.steps, read, ask)
		}
		if e.r.look == nil {
			break
		}
		if len(e.r.look.used) != 1 || len(e.r.look.used[services]) != 2 {
			t.Fatalf("step %d: more is held than the grants: %v", e.steps, e.r.look.used)
		}
		if len(e.r.look.asks) > size {
			t.Fatalf("step %d: %d nodes wait to be asked for, more than a page of %d has", e.steps, len(e.r.look.asks), size)
		}
	}
	if len(e.asked()) != pods || e.Lister.Pages != len(kinds)-1+2*pods/size {
		t.Errorf("%d nodes were asked for and %d pages read, in %d steps", len(e.asked()), e.Lister.Pages, e.steps)
	}
	e.wantFindings(map[string]string{"a": "unused", "b": "unused"})
}

// TestKindsAreUnderstood: everything that is listed can be taken.
func TestKindsAreUnderstood(t *testing.T) {
	e := newEnv(t, granted("g", tools, nodes), controllertest.Deployment("web", image), controllertest.Pod("node-1", "web", image),
		&appsv1.StatefulSet{ObjectMeta: named("web")}, &appsv1.DaemonSet{ObjectMeta: named("web")}, &appsv1.ReplicaSet{ObjectMeta: named("web")},
		&batchv1.Job{ObjectMeta: named("web")}, &batchv1.CronJob{ObjectMeta: named("web")})
	e.look()
	e.wantListed(everything...)
	if e.Lister.Pages != len(kinds) {
		t.Errorf("%d pages were read, want one of each kind", e.Lister.Pages)
	}
}
