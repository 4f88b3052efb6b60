// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// sandboxReason is that of the kubelet's events about a pod's sandbox.
const sandboxReason = "FailedCreatePodSandBox"

// reasons are those of the kubelet's events that tell why a pull failed. Its
// back-offs, of which there are many, repeat what these say.
var reasons = []string{"Failed", "InspectFailed", "ErrImageNeverPull", sandboxReason}

// failures reads the kubelet's events that may tell of failed pulls. Without the
// right to read them, the pods' own states still tell the most.
func (l *live) failures(ctx context.Context) error {
	for _, reason := range reasons {
		err := each(ctx, l.reader, client.ListOptions{
			Namespace:     l.request.Namespace,
			FieldSelector: fields.Set{"involvedObject.kind": pod, "reason": reason}.AsSelector(),
		}, newEvents, func(list *corev1.EventList) {
			for i := range list.Items {
				if e := list.Items[i]; about(&e) {
					e.ManagedFields = nil
					l.Events[podOf(&e)] = append(l.Events[podOf(&e)], &e)
				}
			}
		})
		if err != nil && !refused(err) {
			return unreached(err)
		}
		if err != nil {
			l.note(err)
			return nil
		}
	}
	return nil
}

// about tells whether the event may say why a pod cannot pull: the reason is
// shared with containers that cannot start.
func about(e *corev1.Event) bool {
	return pullfailure.Classify(pullfailure.Text{Message: e.Message, Reason: e.Reason}).Cause != pullfailure.NotPullFailure
}

func (l *live) note(err error) {
	l.Notes = append(l.Notes, fmt.Sprintf("Events were not read, so a pod that runs and cannot pull again is not seen: %v", err))
}

// all reads every event of one pod.
func (l *live) all(ctx context.Context, key types.NamespacedName) ([]*corev1.Event, error) {
	var events []*corev1.Event
	err := each(ctx, l.reader, client.ListOptions{
		Namespace:     key.Namespace,
		FieldSelector: fields.Set{"involvedObject.kind": pod, "involvedObject.name": key.Name}.AsSelector(),
	}, newEvents, func(list *corev1.EventList) {
		for i := range list.Items {
			events = append(events, &list.Items[i])
		}
	})
	return events, err
}

// recheck reads all events of the pods that only events tell of: a later one may
// say that the failure is over. Those that are well are dropped.
func (l *live) recheck(ctx context.Context) {
	events := make([][]*corev1.Event, len(l.Pods))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, p := range l.Pods {
		if !l.onlyEvents(p) {
			continue
		}
		group.Go(func() (err error) {
			events[i], err = l.all(ctx, keyOf(p))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		l.note(err)
	}
	var kept []*corev1.Pod
	for i, p := range l.Pods {
		if events[i] != nil {
			l.Events[keyOf(p)] = events[i]
		}
		if l.failing(p) {
			kept = append(kept, p)
		}
	}
	l.Pods = kept
}

// onlyEvents tells whether an event alone says that something of the pod fails.
func (l *live) onlyEvents(p *corev1.Pod) bool {
	for _, e := range l.Events[keyOf(p)] {
		if e.Reason == sandboxReason {
			return true
		}
	}
	return len(pullfailure.InPod(p)) == 0
}
