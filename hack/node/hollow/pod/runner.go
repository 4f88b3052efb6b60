// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pod plays kubelet for the pods bound to a hollow node: it pulls their images for real and reports the states that
// kubelet would report. Containers themselves are only said to run.
package pod

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/hack/node/hollow/image"
)

const (
	// workers is how many pods are looked at, and so how many pulls run, at the same time.
	workers = 64
	nodeIP  = "127.0.0.1"
)

// Runner runs the pods of one node.
type Runner struct {
	client   kubernetes.Interface
	recorder record.EventRecorder
	images   *image.Manager
	clock    clock.Clock
	pods     cache.SharedInformer
	queue    workqueue.TypedRateLimitingInterface[types.NamespacedName]

	mu      sync.Mutex
	records map[types.NamespacedName]*podRecord
}

// NewRunner returns a runner for the pods bound to the named node.
func NewRunner(client kubernetes.Interface, recorder record.EventRecorder, images *image.Manager, clk clock.Clock, node string) (*Runner, error) {
	// A plain informer: the factory would link the informers of every kind into this small program.
	bound := fields.OneTermEqualSelector("spec.nodeName", node)
	source := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, bound)
	r := &Runner{
		client:   client,
		recorder: recorder,
		images:   images,
		clock:    clk,
		pods:     cache.NewSharedInformer(source, &corev1.Pod{}, 0),
		queue:    workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[types.NamespacedName]()),
		records:  map[types.NamespacedName]*podRecord{},
	}
	_, err := r.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { r.changed(nil, obj) },
		UpdateFunc: r.changed,
		DeleteFunc: func(obj any) { r.changed(nil, obj) },
	})
	if err != nil {
		return nil, fmt.Errorf("watch pods: %w", err)
	}
	return r, nil
}

// Run works until the context ends.
func (r *Runner) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { r.pods.RunWithContext(ctx) })
	cache.WaitForCacheSync(ctx.Done(), r.pods.HasSynced)
	for range workers {
		running.Go(func() {
			for r.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	r.queue.ShutDown()
	running.Wait()
}

func (r *Runner) next(ctx context.Context) bool {
	key, shutdown := r.queue.Get()
	if shutdown {
		return false
	}
	defer r.queue.Done(key)
	again, err := r.sync(ctx, key)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		klog.FromContext(ctx).Error(err, "Syncing pod", "pod", key)
		r.queue.AddRateLimited(key)
	case again > 0:
		r.queue.Forget(key)
		r.queue.AddAfter(key, again)
	default:
		r.queue.Forget(key)
	}
	return true
}

// changed wakes the pod's worker. Kubelet, too, does not look at a pod again because of the status that it wrote itself.
func (r *Runner) changed(oldObj, newObj any) {
	if tombstone, ok := newObj.(cache.DeletedFinalStateUnknown); ok {
		newObj = tombstone.Obj
	}
	pod, ok := newObj.(*corev1.Pod)
	if !ok {
		return
	}
	old, ok := oldObj.(*corev1.Pod)
	if ok && old.UID == pod.UID && old.Generation == pod.Generation && old.DeletionTimestamp.IsZero() == pod.DeletionTimestamp.IsZero() {
		return
	}
	key := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	if pod.DeletionTimestamp != nil {
		r.mu.Lock()
		if rec := r.records[key]; rec != nil && rec.cancel != nil {
			rec.cancel()
		}
		r.mu.Unlock()
	}
	r.queue.Add(key)
}

// sync brings one pod as far as it gets now and returns when to look again.
func (r *Runner) sync(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	object, exists, err := r.pods.GetStore().GetByKey(key.String())
	if err != nil {
		return 0, err
	}
	pod, ok := object.(*corev1.Pod)
	if !exists || !ok {
		r.forget(key)
		return 0, nil
	}
	rec := r.record(key, pod)
	if pod.DeletionTimestamp != nil {
		return 0, r.remove(ctx, pod, rec)
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return 0, nil
	}
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	rec.cancel = cancel
	r.mu.Unlock()

	if err := r.write(ctx, pod, rec); err != nil {
		return 0, err
	}
	again := r.run(work, pod, rec)
	if work.Err() != nil {
		return 0, nil // The pod is being deleted: the worker is awake for that already.
	}
	return again, r.write(ctx, pod, rec)
}

// run starts what can be started: init containers one after the other, then all the others.
func (r *Runner) run(ctx context.Context, pod *corev1.Pod, rec *podRecord) time.Duration {
	var again time.Duration
	secrets := r.pullSecrets(ctx, pod)
	for _, s := range specsOf(pod) {
		c := rec.containers[s.name]
		if wait := r.advance(ctx, pod, secrets, s, c); wait > 0 && (again == 0 || wait < again) {
			again = wait
		}
		if s.kind == initContainer && !c.initialized(s) {
			break
		}
	}
	return again
}

// pullSecrets reads the pod's pull secrets. One that can't be read is told in an event, and done without.
func (r *Runner) pullSecrets(ctx context.Context, pod *corev1.Pod) []corev1.Secret {
	var secrets []corev1.Secret
	var failed []string
	for _, ref := range pod.Spec.ImagePullSecrets {
		secret, err := r.client.CoreV1().Secrets(pod.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			failed = append(failed, ref.Name)
			continue
		}
		secrets = append(secrets, *secret)
	}
	if len(failed) > 0 && ctx.Err() == nil {
		r.recorder.Eventf(pod, corev1.EventTypeWarning, "FailedToRetrieveImagePullSecret",
			"Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", strings.Join(failed, ", "))
	}
	return secrets
}

// remove ends the pod's containers and lets go of the pod.
func (r *Runner) remove(ctx context.Context, pod *corev1.Pod, rec *podRecord) error {
	for _, c := range rec.containers {
		switch {
		case c.status.State.Running != nil:
			c.end(0, reasonCompleted, r.now())
		case c.status.State.Waiting != nil:
			c.end(exitKilled, reasonError, r.now())
		}
	}
	if err := r.write(ctx, pod, rec); err != nil {
		return err
	}
	err := r.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: new(int64),
		Preconditions:      metav1.NewUIDPreconditions(string(pod.UID)),
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func (r *Runner) now() metav1.Time {
	return metav1.NewTime(r.clock.Now()).Rfc3339Copy()
}
