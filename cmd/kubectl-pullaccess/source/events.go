// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// observeEvents reads the kubelet's events that may tell of failed pulls, by each
// of their reasons. Where they may not be read, the pods' own states still tell the most.
func (l *live) observeEvents(ctx context.Context) error {
	var unread []string
	var why error
	for _, reason := range pullfailure.EventReasons() {
		err := cluster.Each(ctx, l.reader, client.ListOptions{
			Namespace:     l.request.Namespace,
			FieldSelector: fields.Set{"involvedObject.kind": podKind, "reason": reason}.AsSelector(),
		}, newEvents, func(list *corev1.EventList) {
			for i := range list.Items {
				if e := list.Items[i]; about(&e) {
					e.ManagedFields = nil
					l.Events[involvedPod(&e)] = append(l.Events[involvedPod(&e)], &e)
				}
			}
		})
		switch {
		case err == nil:
		case !cluster.Refused(err):
			return cluster.Unreached(err)
		default:
			unread, why = append(unread, reason), err
		}
	}
	if why != nil {
		l.Notes = append(l.Notes, fmt.Sprintf("Events of reason %s were not read, so a pod that runs and cannot pull again may not be seen: %v",
			strings.Join(unread, ", "), why))
	}
	return nil
}

// about tells whether the event may say why a pod cannot pull: the reason is
// shared with containers that cannot start.
func about(e *corev1.Event) bool {
	return pullfailure.Classify(pullfailure.Text{Message: e.Message, Reason: e.Reason}).Cause != pullfailure.NotPullFailure
}

// observeEventsOf reads every event of one pod.
func (l *live) observeEventsOf(ctx context.Context, key types.NamespacedName) ([]*corev1.Event, error) {
	var events []*corev1.Event
	err := cluster.Each(ctx, l.reader, client.ListOptions{
		Namespace:     key.Namespace,
		FieldSelector: fields.Set{"involvedObject.kind": podKind, "involvedObject.name": key.Name}.AsSelector(),
	}, newEvents, func(list *corev1.EventList) {
		for i := range list.Items {
			events = append(events, &list.Items[i])
		}
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// observeRecoveries reads all events of the pods that only events tell of: a later
// one may say that the failure is over. Those that are well are dropped; one whose
// events may not be read stays, with a note.
func (l *live) observeRecoveries(ctx context.Context) error {
	events := make([][]*corev1.Event, len(l.Pods))
	var unread unreadPods
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(Parallel)
	for i, p := range l.Pods {
		if !l.onlyEvents(p) {
			continue
		}
		group.Go(func() (err error) {
			events[i], err = l.observeEventsOf(ctx, client.ObjectKeyFromObject(p))
			return unread.unlessAnswered(client.ObjectKeyFromObject(p), err)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	l.note("The later events of pods were not read, so they may be able to pull by now", &unread)
	for i, p := range l.Pods {
		if events[i] != nil {
			l.Events[client.ObjectKeyFromObject(p)] = events[i]
		}
	}
	l.Pods = slices.DeleteFunc(l.Pods, func(p *corev1.Pod) bool { return !l.failing(p) })
	return nil
}

// onlyEvents tells whether an event alone says that something of the pod fails.
func (l *live) onlyEvents(p *corev1.Pod) bool {
	sandbox := func(f pullfailure.Failure) bool { return f.Role == pullfailure.Sandbox }
	return len(pullfailure.InPod(p)) == 0 || slices.ContainsFunc(pullfailure.FromEvents(p, l.Events[client.ObjectKeyFromObject(p)]), sandbox)
}
