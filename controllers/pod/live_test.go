// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// liveEnv returns an environment, its reconciler, and a second environment: the API server with
// the pods, which the reconciler reads live.
func liveEnv(t *testing.T, pods ...client.Object) (e *env, r *Reconciler, live *controllertest.Env) {
	t.Helper()
	e, live = newEnv(t), controllertest.New(t, pods...)
	r = e.build()
	r.Live = live.Client
	return e, r, live
}

// reads is the number of pods that were read live.
func reads(live *controllertest.Env) int { return len(live.Calls.Of("get")) }

// TestReadsOfANamespaceAreBounded sends many Events about many pods of one namespace at the
// same time. Few trigger a read, the queue stays bounded, and another namespace is not
// affected.
func TestReadsOfANamespaceAreBounded(t *testing.T) {
	e, r, live := liveEnv(t)
	reconciler := reconcile.Func(r.reconcileNamed)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	flood := func(namespace string) {
		for i := range 5000 {
			event := e.failed("Error: ErrImagePull")
			event.Namespace, event.InvolvedObject.Namespace = namespace, namespace
			event.InvolvedObject.Name, event.InvolvedObject.UID = "made-up-"+strconv.Itoa(i%100), ""
			name, look := r.hear(t.Context(), event)
			if !look {
				continue
			}
			queue.Add(reconcile.Request{NamespacedName: name})
			if _, err := reconciler.Reconcile(t.Context(), reconcile.Request{NamespacedName: name}); err != nil {
				t.Fatal(err)
			}
		}
	}
	const most = 40
	flood("shop")
	if n := reads(live); n == 0 || n > most {
		t.Errorf("%d pods were read live, want some, and at most %d", n, most)
	}
	if n := queue.Len(); n > most {
		t.Errorf("%d pods wait, want at most %d", n, most)
	}
	before := reads(live)
	flood("other")
	if n := reads(live) - before; n == 0 {
		t.Error("a flood in one namespace keeps the pods of another from being read")
	}
	e.Step(time.Second)
	before = reads(live)
	flood("shop")
	if n := reads(live) - before; n > 4 {
		t.Errorf("a second later %d pods were read live, want at most 4", n)
	}
	e.Step(time.Minute)
	before = reads(live)
	flood("shop")
	if n := reads(live) - before; n == 0 || n > most {
		t.Errorf("a minute later %d pods were read live, want some, and at most %d", n, most)
	}
}

// TestPodThatIsNotHeldIsReadLive checks that a pod that does not fit into the cache gets a
// grant after a live read, and that the rate of these reads is limited for each namespace.
func TestPodThatIsNotHeldIsReadLive(t *testing.T) {
	var pods []client.Object
	for i := range 100 {
		pod := podOf("web", i)
		pod.Labels = map[string]string{}
		for j := range 300 {
			pod.Labels[strconv.Itoa(j)] = strings.Repeat("v", 63)
		}
		pod.Status.Phase = corev1.PodPending
		controllertest.Failing("ErrImagePull", controllertest.Denial(image))(pod)
		pods = append(pods, pod)
	}
	e, r, live := liveEnv(t, pods...)
	for _, object := range pods {
		pod, _ := object.(*corev1.Pod)
		stub := workload.Cached(pod)
		if !mayFail(stub) {
			t.Fatal("the pod is not evaluated")
		}
		read := reads(live)
		result, err := r.Reconcile(t.Context(), stub)
		if err != nil {
			t.Fatal(err)
		}
		if waits := reads(live) == read; waits != (result.RequeueAfter == readLater) {
			t.Fatalf("read: %v, and the result is %+v", !waits, result)
		}
	}
	if grants := e.Grants(); len(grants) != 1 {
		t.Errorf("%d grants were requested, want 1", len(grants))
	}
	if n := reads(live); n == 0 || n > 40 {
		t.Errorf("%d pods were read live in one instant, want some, and at most 40", n)
	}
}

// TestLargePodsShareTheirSlots checks that the large pods of one namespace take one slot, and
// that a pod that waits for a slot is neither read again nor counted.
func TestLargePodsShareTheirSlots(t *testing.T) {
	large := func(namespace string) *corev1.Pod {
		pod := podOf("web", 0)
		pod.Namespace, pod.Annotations = namespace, map[string]string{"a": strings.Repeat("v", 200<<10)}
		return pod
	}
	own, other, small := large("shop"), large("other"), podOf("web", 1)
	e, r, live := liveEnv(t, own, other, small)
	leave, ok := r.reads.enter("shop")
	if _, second := r.reads.enter("shop"); !ok || second {
		t.Fatal("large pods of one namespace are to be evaluated one at a time")
	}
	check := func(pod *corev1.Pod, want time.Duration) {
		t.Helper()
		stub := pod.DeepCopy()
		stub.Spec.Containers = nil
		if result, err := r.Reconcile(t.Context(), stub); err != nil || result.RequeueAfter != want {
			t.Errorf("%s/%s: %+v, %v; want to wait %s", pod.Namespace, pod.Name, result, err, want)
		}
	}
	for range 100 {
		check(own, readLater)
	}
	if n := reads(live); n != 1 {
		t.Errorf("a large pod that waits for a slot was read %d times, want 1", n)
	}
	check(small, 0) // The pod that waits has left most of the rate of its namespace.
	check(other, 0)
	leave()
	check(own, 0)

	for i := range 10 {
		if _, ok := r.reads.enter(strconv.Itoa(i)); ok != (i < 2) {
			t.Errorf("large pod %d is evaluated at once: %v", i, ok)
		}
	}
	e.Step(24 * time.Hour)
	check(own, readLater)
	for i := range 20000 {
		r.reads.noteSize(types.NamespacedName{Namespace: "shop", Name: strconv.Itoa(i)}, true)
	}
	if n := len(r.reads.known.Keys()); n == 0 || n > 5000 {
		t.Errorf("%d large pods are remembered, want some, and at most 5000", n)
	}
}

// TestEachReadOfAPodIsCounted: the Event of a pod that the cache does not hold has counted
// one read. The reads that a wait or an error leads to are counted as well.
func TestEachReadOfAPodIsCounted(t *testing.T) {
	for name, fault := range map[string]error{"read": nil, "error": errors.New("the API server is down")} {
		t.Run(name, func(t *testing.T) {
			e, r, live := liveEnv(t, podOf("web", 0))
			live.Faults.Get = func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				return errors.Join(c.Get(ctx, key, object, options...), fault)
			}
			failed := e.failed("Error: ErrImagePull")
			failed.InvolvedObject.Name, failed.InvolvedObject.UID = "web-1-0", ""
			name, look := r.hear(t.Context(), failed)
			if !look {
				t.Fatal("the Event leads to no read")
			}
			reconciler := reconcile.Func(r.reconcileNamed)
			const most = 40
			for range 100 {
				result, err := reconciler.Reconcile(t.Context(), reconcile.Request{NamespacedName: name})
				if n := reads(live); n == 0 || n > most {
					t.Fatalf("%d reads in one instant, want some, and at most %d; %+v, %v", n, most, result, err)
				}
			}
			before := reads(live)
			e.Step(readLater)
			if _, err := reconciler.Reconcile(t.Context(), reconcile.Request{NamespacedName: name}); reads(live) != before+1 {
				t.Errorf("%s later the pod is not read: %v", readLater, err)
			}
		})
	}
}

// TestFirstReadIsCountedOnce: the Event has counted it, so that a namespace whose rate is
// used up still has every pod read of which an Event was let through.
func TestFirstReadIsCountedOnce(t *testing.T) {
	e, r, live := liveEnv(t)
	reconciler := reconcile.Func(r.reconcileNamed)
	var names []types.NamespacedName
	for i := range 40 {
		failed := e.failed("Error: ErrImagePull")
		failed.InvolvedObject.Name, failed.InvolvedObject.UID = "web-"+strconv.Itoa(i), ""
		if name, look := r.hear(t.Context(), failed); look {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if _, err := reconciler.Reconcile(t.Context(), reconcile.Request{NamespacedName: name}); err != nil {
			t.Fatal(err)
		}
	}
	if n := reads(live); n == 0 || n != len(names) {
		t.Errorf("%d pods are read for %d Events", n, len(names))
	}
}

// TestNamespaceWakesItsPods: also where all its labels are removed, of which none was cached.
func TestNamespaceWakesItsPods(t *testing.T) {
	labeled := func(n int) client.Object {
		namespace := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{}}}
		for i := range n {
			namespace.Labels[strconv.Itoa(i)] = strings.Repeat("v", 63)
		}
		return workload.CachedNamespace(namespace)
	}
	for name, tc := range map[string]struct {
		before, after int
		want          bool
	}{
		"same": {1, 1, false}, "another label": {1, 2, true}, "labels become too large": {0, 200, true},
		"labels too large are removed": {200, 0, true}, "labels stay too large": {200, 201, false},
	} {
		if got := selectionChanged().Update(event.UpdateEvent{ObjectOld: labeled(tc.before), ObjectNew: labeled(tc.after)}); got != tc.want {
			t.Errorf("%s: the pods of the namespace are evaluated again: %v, want %v", name, got, tc.want)
		}
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestEventsAreKeptWithinBounds sends Events of the largest size that the API server
// accepts, about many pods in many namespaces.
func TestEventsAreKeptWithinBounds(t *testing.T) {
	const much, most = 20 << 10, 10 << 20
	edits := map[string]func(*corev1.Event, string){
		"text":      func(e *corev1.Event, i string) { e.Message = "Failed to pull image " + i + strings.Repeat("x", 4000) },
		"long text": func(e *corev1.Event, i string) { e.Message = "Failed to pull image " + i + strings.Repeat("x", much) },
		"UID":       func(e *corev1.Event, i string) { e.InvolvedObject.UID = types.UID(i + strings.Repeat("x", much)) },
		"name":      func(e *corev1.Event, i string) { e.InvolvedObject.Name = i + strings.Repeat("x", much) },
		"path":      func(e *corev1.Event, i string) { e.InvolvedObject.FieldPath = i + strings.Repeat("x", much) },
		"version": func(e *corev1.Event, i string) {
			e.InvolvedObject.APIVersion, e.InvolvedObject.ResourceVersion = i+strings.Repeat("x", much), i+strings.Repeat("y", much)
		},
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			e, r, _ := liveEnv(t)
			before := heap()
			for i := range 200 {
				for n := range 24 {
					event := e.failed("Error: ErrImagePull")
					event.Namespace = "flood-" + strconv.Itoa(i)
					event.InvolvedObject.Namespace, event.InvolvedObject.Name = event.Namespace, "x-"+strconv.Itoa(n)
					edit(event, strconv.Itoa(n))
					r.hear(t.Context(), event)
				}
			}
			if kept := heap() - before; kept > most {
				t.Errorf("%d MB of Events are kept", kept>>20)
			}
			runtime.KeepAlive(r)
		})
	}
}

// TestRememberedFailuresAreBounded checks the memory of many failures with long images and
// texts.
func TestRememberedFailuresAreBounded(t *testing.T) {
	const failures, most = 60000, 48 << 20
	m := newMemory()
	before := heap()
	for i := range failures {
		pod := &corev1.Pod{}
		pod.UID = types.UID(fmt.Sprintf("%036d", i))
		failure := pullfailure.Failure{
			Container: "app", Image: strconv.Itoa(i) + strings.Repeat("i", 500), Reason: "ErrImagePull",
			Message: strings.Repeat("m", 4000) + controllertest.Denial(image) + strconv.Itoa(i),
		}
		if i < 200 { // Long texts are slow, and a few show what is kept.
			m.classify(pod, failure)
		} else {
			m.cause(pod, failure, short(pullfailure.Verdict{Cause: pullfailure.Network, Evidence: strconv.Itoa(i) + strings.Repeat("e", 500)}))
		}
		m.changed(pod, failure, failure.Image)
	}
	if kept := heap() - before; kept > most {
		t.Errorf("%d MB are remembered of %d failures", kept>>20, failures)
	}
	if n := len(m.answers.Keys()); n > 40000 {
		t.Errorf("%d answers are remembered", n)
	}
}

// TestNamespacesAreCountedWithinABound reads pods in more namespaces than a cluster has.
func TestNamespacesAreCountedWithinABound(t *testing.T) {
	const many, most = 20000, 5000
	live := newLiveReads(newEnv(t).Clock)
	for i := range many {
		live.allow(strconv.Itoa(i))
	}
	if n := len(live.limiters.Keys()); n == 0 || n > most {
		t.Errorf("the reads of %d namespaces are counted, want some, and at most %d", n, most)
	}
}
