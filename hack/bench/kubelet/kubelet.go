// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubelet plays the kubelets of all nodes of a benchmark in one process: it writes the statuses and Events that they
// would write of pods whose image cannot be pulled, with kubelet's back-off, until it is told that it can be.
//
// It pulls nothing, and is lean: one watch, one queue and one connection for all nodes. Unlike a kubelet it deletes a pod
// without a last word on its containers.
package kubelet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
)

const (
	// workers is how many pods are looked at, at the same time.
	workers = 64
	// firstBackoff and longestBackoff are kubelet's between two pulls of a pod's image.
	firstBackoff, longestBackoff = 10 * time.Second, 300 * time.Second
	// jitter is by how much a wait may be longer: kubelets are not in step.
	jitter = 0.1
	// toBackoff is how long after a failed pull kubelet reports that it waits.
	toBackoff = time.Second
	// retryAfter is when a write is tried again that the API server did not take.
	retryAfter = time.Second
)

// Options say what is played.
type Options struct {
	// Config reaches the API server as a user that may do what all kubelets may.
	Config *rest.Config
	Nodes  []Node
	// Spread is the time over which the kubelets begin.
	Spread time.Duration
	// Pulls tells whether an image can be pulled as a service account by now.
	Pulls func(image, account string) bool
	// Failed is called when the first failure of a pod was accepted by the API server; it may be nil.
	Failed func(pod types.NamespacedName, at time.Time)
	Clock  clock.PassiveClock
}

// Kubelets are those of all nodes. They begin when Begin says so.
type Kubelets struct {
	options Options
	client  kubernetes.Interface
	nodes   map[string]played
	pods    cache.SharedInformer
	queue   workqueue.TypedDelayingInterface[types.NamespacedName]

	begun atomic.Bool
	first atomic.Pointer[time.Time]

	mu      sync.Mutex
	records map[types.NamespacedName]*podRecord
	counts  Counts
}

// played is one node with its own source of Events.
type played struct {
	account  string
	recorder record.EventRecorder
}

// podRecord is what is known of one pod.
type podRecord struct {
	uid types.UID
	// wait is the next back-off; until is when the pod is looked at again.
	wait  time.Duration
	until time.Time
	// waits: the last pull has failed, and the back-off is still to be reported.
	waits, failed, running bool
}

// Counts are how many pods there are.
type Counts struct {
	// Bound is how many pods of any age are on the nodes, Failing how many have failed and do not run, Running how many run.
	Bound, Failing, Running int
	// Statuses is how many statuses were written in all.
	Statuses int
	// Errors is how many writes were not taken and tried again, Last why the last of them was not.
	Errors int
	Last   error
}

// New prepares the kubelets of nodes that are registered.
func New(ctx context.Context, o Options) (*Kubelets, error) {
	client, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, err
	}
	bound, err := fields.ParseSelector("spec.nodeName!=")
	if err != nil {
		return nil, err
	}
	source := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, bound)
	k := &Kubelets{
		options: o, client: client, nodes: map[string]played{}, records: map[types.NamespacedName]*podRecord{},
		pods:  cache.NewSharedInformer(source, &corev1.Pod{}, 0),
		queue: workqueue.NewTypedDelayingQueue[types.NamespacedName](),
	}
	if err := k.pods.SetTransform(strip); err != nil {
		return nil, err
	}
	if err := k.play(ctx); err != nil {
		return nil, err
	}
	_, err = k.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: k.changed, UpdateFunc: func(_, pod any) { k.changed(pod) }, DeleteFunc: k.changed,
	})
	return k, err
}

// strip keeps what is read of a pod.
func strip(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	slim := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion, DeletionTimestamp: pod.DeletionTimestamp,
	}}
	slim.Spec.NodeName = pod.Spec.NodeName
	for i := range pod.Spec.Containers {
		slim.Spec.Containers = append(slim.Spec.Containers, corev1.Container{Name: pod.Spec.Containers[i].Name, Image: pod.Spec.Containers[i].Image})
	}
	return slim, nil
}

// Run plays until the context ends.
func (k *Kubelets) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { k.pods.RunWithContext(ctx) })
	running.Go(func() { k.keepAlive(ctx) })
	for range workers {
		running.Go(func() {
			for k.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	k.queue.ShutDown()
	running.Wait()
}

// keepAlive renews the leases of all nodes, several at once: in a storm each takes long, and
// a node whose lease has run out takes no pods.
func (k *Kubelets) keepAlive(ctx context.Context) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		workqueue.ParallelizeUntil(ctx, leasesAtOnce, len(k.options.Nodes), func(i int) {
			// One that was missed is made up for by the next.
			_ = renew(ctx, k.client, k.options.Nodes[i].Name, k.options.Clock.Now())
		})
	}, leaseInterval)
}

// Begin has the kubelets look at their pods.
func (k *Kubelets) Begin() {
	k.begun.Store(true)
	for _, object := range k.pods.GetStore().List() {
		if pod, ok := object.(*corev1.Pod); ok {
			k.queue.AddAfter(keyOf(pod), time.Duration(rand.Float64()*float64(k.options.Spread)))
		}
	}
}

// First is when the API server has accepted the first failure; zero if it has not.
func (k *Kubelets) First() time.Time {
	if at := k.first.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Counts are those of now.
func (k *Kubelets) Counts() Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	counts := k.counts
	counts.Bound = len(k.pods.GetStore().ListKeys())
	for _, rec := range k.records {
		switch {
		case rec.running:
			counts.Running++
		case rec.failed:
			counts.Failing++
		}
	}
	return counts
}

// changed wakes a worker for a pod that is new here, or has to go.
func (k *Kubelets) changed(object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok || !k.begun.Load() {
		return
	}
	k.mu.Lock()
	rec := k.records[keyOf(pod)]
	k.mu.Unlock()
	if rec == nil || rec.uid != pod.UID || pod.DeletionTimestamp != nil {
		k.queue.Add(keyOf(pod))
	}
}

func keyOf(pod *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
}

func (k *Kubelets) next(ctx context.Context) bool {
	key, shutdown := k.queue.Get()
	if shutdown {
		return false
	}
	defer k.queue.Done(key)
	again, err := k.sync(ctx, key)
	if err != nil && ctx.Err() == nil {
		again = retryAfter
		k.set(func() { k.counts.Errors, k.counts.Last = k.counts.Errors+1, err })
	}
	if again > 0 {
		k.queue.AddAfter(key, again)
	}
	return true
}

// sync does what is due for one pod, and says when to look again; zero for never.
func (k *Kubelets) sync(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	object, exists, err := k.pods.GetStore().GetByKey(key.String())
	if err != nil {
		return 0, err
	}
	pod, ok := object.(*corev1.Pod)
	if !exists || !ok {
		k.mu.Lock()
		delete(k.records, key)
		k.mu.Unlock()
		return 0, nil
	}
	if pod.DeletionTimestamp != nil {
		return 0, k.remove(ctx, pod)
	}
	rec := k.recordOf(key, pod)
	if rec.running {
		return 0, nil
	}
	if early := rec.until.Sub(k.options.Clock.Now()); early > 0 {
		return early, nil
	}
	return k.advance(ctx, pod, rec)
}

func (k *Kubelets) recordOf(key types.NamespacedName, pod *corev1.Pod) *podRecord {
	k.mu.Lock()
	defer k.mu.Unlock()
	rec := k.records[key]
	if rec == nil || rec.uid != pod.UID {
		rec = &podRecord{uid: pod.UID, wait: firstBackoff}
		k.records[key] = rec
	}
	return rec
}

// set changes a record, which other goroutines count.
func (k *Kubelets) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

// nodeOf is the node that the pod is on.
func (k *Kubelets) nodeOf(pod *corev1.Pod) (played, error) {
	node, ok := k.nodes[pod.Spec.NodeName]
	if !ok {
		return node, fmt.Errorf("pod %s is on node %q, which is not played", keyOf(pod), pod.Spec.NodeName)
	}
	return node, nil
}
