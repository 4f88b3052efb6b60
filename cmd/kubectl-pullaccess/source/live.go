// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
)

// Live looks for failing pods in a cluster. Of all pods it lists the pending
// ones alone, since a pod that cannot pull is pending; the few others, whose
// containers once ran, are found by the kubelet's events and read one by one.
func Live(ctx context.Context, reader client.Reader, request Request) (Snapshot, error) {
	l := live{reader: reader, request: request}
	l.Events = map[types.NamespacedName][]*corev1.Event{}
	if request.Target.Kind == podKind {
		return l.observePod(ctx, types.NamespacedName{Namespace: request.Namespace, Name: request.Target.Name})
	}
	options := client.ListOptions{
		Namespace:     request.Namespace,
		LabelSelector: request.Selector,
		FieldSelector: fields.OneTermEqualSelector("status.phase", string(corev1.PodPending)),
	}
	if !request.Target.IsZero() {
		selector, err := l.observeSelector(ctx, request.Target)
		if err != nil {
			return Snapshot{}, err
		}
		// A workload's own pods are few, so those that run are looked at as well.
		options.LabelSelector, options.FieldSelector = selector, nil
	}
	if err := l.observeEvents(ctx); err != nil {
		return Snapshot{}, err
	}
	if err := l.observeOperator(ctx); err != nil {
		return Snapshot{}, err
	}
	seen, err := l.observePods(ctx, options)
	if err == nil && options.FieldSelector != nil {
		err = l.observeOthers(ctx, seen)
	}
	if err == nil {
		err = l.observeRecoveries(ctx)
	}
	if err != nil {
		return Snapshot{}, err
	}
	slices.SortFunc(l.Pods, byName)
	return l.Snapshot, nil
}

type live struct {
	Snapshot

	reader  client.Reader
	request Request
}

// observePod reads one pod and the events about it.
func (l *live) observePod(ctx context.Context, key types.NamespacedName) (Snapshot, error) {
	p := &corev1.Pod{}
	if err := l.reader.Get(ctx, key, p); err != nil {
		return Snapshot{}, missing(err)
	}
	l.Pods = append(l.Pods, p)
	events, err := l.observeEventsOf(ctx, key)
	var unread unreadPods
	if err := unread.unlessAnswered(key, err); err != nil {
		return Snapshot{}, err
	}
	l.note("The events of the pod were not read, so only its own state is known", &unread)
	l.Events[key] = events
	for _, e := range events {
		l.addReport(e)
	}
	return l.Snapshot, nil
}

// observeSelector reads the workload's own selector of its pods.
func (l *live) observeSelector(ctx context.Context, target Target) (labels.Selector, error) {
	k, ok := kindOf(target.Kind)
	if !ok || k.selector == nil {
		return nil, fmt.Errorf("%s has no pods", target)
	}
	object := k.object()
	if err := l.reader.Get(ctx, types.NamespacedName{Namespace: l.request.Namespace, Name: target.Name}, object); err != nil {
		return nil, missing(err)
	}
	selector, err := metav1.LabelSelectorAsSelector(k.selector(object))
	if err != nil {
		return nil, fmt.Errorf("selector of %s: %w", target, err)
	}
	return selector, nil
}

// observePods lists what options select, keeps what fails, and returns the names of all.
func (l *live) observePods(ctx context.Context, options client.ListOptions) (map[types.NamespacedName]bool, error) {
	seen := map[types.NamespacedName]bool{}
	err := cluster.Each(ctx, l.reader, options, newPods, func(list *corev1.PodList) {
		for i := range list.Items {
			p := list.Items[i]
			again := seen[client.ObjectKeyFromObject(&p)]
			seen[client.ObjectKeyFromObject(&p)] = true
			if !again && l.failing(&p) {
				p.ManagedFields = nil
				l.Pods = append(l.Pods, &p)
			}
		}
	})
	return seen, cluster.Unreached(err)
}

// observeOthers reads the pods that events name and the list had not. Who may list
// pods need not be allowed to get them: those are noted.
func (l *live) observeOthers(ctx context.Context, seen map[types.NamespacedName]bool) error {
	var mu sync.Mutex
	var unread unreadPods
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(Parallel)
	for key := range l.Events {
		if seen[key] {
			continue
		}
		group.Go(func() error {
			p := &corev1.Pod{}
			err := l.reader.Get(ctx, key, p)
			switch {
			case apierrors.IsNotFound(err):
				return nil // Events outlive their pods.
			case err != nil:
				return unread.unlessAnswered(key, err)
			case l.request.Selector != nil && !l.request.Selector.Matches(labels.Set(p.Labels)):
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			l.Pods = append(l.Pods, p)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	l.note("Events tell of pods that were not read, so whether they still cannot pull is not known", &unread)
	return nil
}

// missing tells a wrong name, which is the caller's doing, from a cluster that
// does not answer.
func missing(err error) error {
	if apierrors.IsNotFound(err) {
		return err
	}
	return cluster.Unreached(err)
}

func newPods() *corev1.PodList     { return &corev1.PodList{} }
func newEvents() *corev1.EventList { return &corev1.EventList{} }
