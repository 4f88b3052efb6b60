// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// readsPerSecond and readBurst limit the live reads of pods for each namespace. Users
	// decide how many of their pods need a live read, and how many Events name a pod.
	readsPerSecond, readBurst = 1, 32
	// limitersKept limits the namespaces that have a rate limiter.
	limitersKept = 4096
	// largePods limits the pods of more than largeSize bytes that are evaluated at once, each
	// of another namespace. largeKept limits the large pods that are remembered, for largeFor.
	largePods, largeSize, largeKept, largeFor = 2, 64 << 10, 4096, 10 * time.Minute
	// liveNeedFor is how long a need counts of a pod that the cache does not hold, after the
	// last live read that showed the failure.
	liveNeedFor = 10 * time.Minute
	// readLater is the delay before a retry if a limit prevents the evaluation of a pod.
	readLater = 10 * time.Second
)

// liveReads limits the rate of live reads of pods, and their memory.
type liveReads struct {
	clock    clock.PassiveClock
	limiters *cache.LRUExpireCache
	// known are the pods that were large when they were last read, by name.
	known *cache.LRUExpireCache

	mu sync.Mutex
	// evaluated are the namespaces of which a large pod is evaluated.
	evaluated sets.Set[string]
}

func newLiveReads(clock clock.PassiveClock) *liveReads {
	return &liveReads{
		clock: clock, limiters: cache.NewLRUExpireCacheWithClock(limitersKept, clock),
		known: cache.NewLRUExpireCacheWithClock(largeKept, clock), evaluated: sets.New[string](),
	}
}

// allow counts one live read in the namespace, and reports whether the rate limit permits
// it.
func (l *liveReads) allow(namespace string) bool {
	known, _ := l.limiters.Get(namespace)
	limiter, ok := known.(*rate.Limiter)
	if !ok {
		limiter = rate.NewLimiter(readsPerSecond, readBurst)
	}
	l.limiters.Add(namespace, limiter, time.Hour)
	return limiter.AllowN(l.clock.Now(), 1)
}

// enter reports whether a large pod of the namespace may be evaluated now. The caller calls
// leave after the evaluation.
func (l *liveReads) enter(namespace string) (leave func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.evaluated.Len() >= largePods || l.evaluated.Has(namespace) {
		return nil, false
	}
	l.evaluated.Insert(namespace)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.evaluated.Delete(namespace)
	}, true
}

// wasLarge reports whether the pod was large when it was last read.
func (l *liveReads) wasLarge(pod types.NamespacedName) bool {
	_, large := l.known.Get(pod)
	return large
}

// noteSize remembers whether the pod is large.
func (l *liveReads) noteSize(pod types.NamespacedName, large bool) {
	if large {
		l.known.Add(pod, true, largeFor)
	} else {
		l.known.Remove(pod)
	}
}

// reconcileLive reads a pod that the cache holds as a stub or not at all, and evaluates it.
// It evaluates few large pods at once, because each stays in memory meanwhile. It reads a
// pod that was large before only if it can also evaluate it.
func (r *Reconciler) reconcileLive(ctx context.Context, stub *corev1.Pod) (reconcile.Result, error) {
	later, name := reconcile.Result{RequeueAfter: readLater}, client.ObjectKeyFromObject(stub)
	large := r.reads.wasLarge(name)
	if large {
		leave, ok := r.reads.enter(name.Namespace)
		if !ok {
			return later, nil
		}
		defer leave()
	}
	// For a pod that is not in the cache, hear counted the first read when the Event arrived.
	if !(stub.UID == "" && r.heard.takeRead(name)) && !r.reads.allow(name.Namespace) {
		return later, nil
	}
	pod := &corev1.Pod{}
	err := r.Live.Get(ctx, name, pod)
	if apierrors.IsNotFound(err) || err == nil && pod.DeletionTimestamp != nil {
		r.Demand.Delete(name)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("read pod: %w", err)
	}
	isLarge := pod.Size() > largeSize
	r.reads.noteSize(name, isLarge)
	if isLarge && !large {
		leave, ok := r.reads.enter(name.Namespace)
		if !ok {
			return later, nil
		}
		defer leave()
	}
	var expires time.Time
	if stub.UID == "" { // The cache does not hold the pod, and does not tell when it is gone.
		expires = r.Clock.Now().Add(liveNeedFor)
	}
	return r.evaluate(ctx, pod, expires)
}

// podReader reads pods from the cache of pending pods. If a pod is not in the cache but has
// a kept Event, podReader returns a stub.
type podReader struct {
	client.Client
	heard *heard
}

// Get implements client.Reader.
func (p podReader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := p.Client.Get(ctx, key, object, options...)
	if pod, ok := object.(*corev1.Pod); ok && apierrors.IsNotFound(err) && len(p.heard.of(key).events) > 0 {
		*pod = corev1.Pod{}
		pod.Namespace, pod.Name = key.Namespace, key.Name
		return nil
	}
	return err
}
