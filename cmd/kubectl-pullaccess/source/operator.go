// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
)

// operator is the reporting controller of the operator's Events.
const operator = "pull-access-operator"

// observeOperator lists what the operator reports about pods. It is a help where Google cannot
// be asked, so a cluster that denies it is no error.
func (l *live) observeOperator(ctx context.Context) error {
	err := cluster.Each(ctx, l.reader, client.ListOptions{
		Namespace:     l.request.Namespace,
		FieldSelector: fields.Set{"involvedObject.kind": podKind, "reportingComponent": operator}.AsSelector(),
	}, newEvents, func(list *corev1.EventList) {
		for i := range list.Items {
			e := list.Items[i]
			e.ManagedFields = nil
			l.addReport(&e)
		}
	})
	if cluster.Refused(err) {
		return nil
	}
	return cluster.Unreached(err)
}

// addReport adds an Event if the operator reports about a pod in it.
func (s *Snapshot) addReport(e *corev1.Event) {
	if e.ReportingController != operator || e.InvolvedObject.Kind != podKind {
		return
	}
	if s.Reports == nil {
		s.Reports = map[types.NamespacedName][]*corev1.Event{}
	}
	s.Reports[involvedPod(e)] = append(s.Reports[involvedPod(e)], e)
}

// Reported returns the latest Event of the operator about the container, nil if none exists.
// The container of a sandbox has no name.
func (s *Snapshot) Reported(p *corev1.Pod, container string) *corev1.Event {
	path := ""
	if container != "" {
		path = "spec.containers{" + container + "}"
	}
	var latest *corev1.Event
	for _, e := range s.Reports[client.ObjectKeyFromObject(p)] {
		if e.InvolvedObject.FieldPath != path || e.InvolvedObject.UID != p.UID {
			continue
		}
		if latest == nil || lastSeen(e).After(lastSeen(latest)) {
			latest = e
		}
	}
	return latest
}

// lastSeen is when the Event happened last.
func lastSeen(e *corev1.Event) time.Time {
	latest := e.EventTime.Time
	if e.LastTimestamp.After(latest) {
		latest = e.LastTimestamp.Time
	}
	if e.Series != nil && e.Series.LastObservedTime.After(latest) {
		latest = e.Series.LastObservedTime.Time
	}
	return latest
}
