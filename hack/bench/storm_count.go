// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/hack/bench/measure"
)

// stormResult is what one storm has cost.
type stormResult struct {
	shape
	// Calls to Google of four methods, by resource.
	reads, writes, repositoriesRead, instances map[string]int
	// calls are all calls to Google by their method.
	calls map[string]int
	// restarts is how often each Deployment was restarted.
	restarts     map[string]int
	restartTimes []time.Time
	// podEvents counts the sentences on pods by reason, events those on anything; mostPerPod is the most of one reason on one pod.
	podEvents, events map[string]int
	mostPerPod        int
	requests          []measure.Request
	statuses          int
	lastWrite         time.Duration
	recovered         time.Duration
	peak              int64
	cpu               time.Duration
}

// count reads what the storm has left behind. It stops the operator: a watch is in the audit log once it has ended.
func (s *storm) count(ctx context.Context, r *stormResult, idle time.Duration) error {
	cpu, err := s.operator.proc().CPU()
	if err != nil {
		return err
	}
	r.cpu = cpu - idle
	if r.peak, err = s.operator.proc().Peak(); err != nil {
		return err
	}
	s.operator.Stop()
	r.reads, r.writes = s.cloud.asked("GetIamPolicy"), s.cloud.asked("SetIamPolicy")
	r.repositoriesRead, r.instances = s.cloud.asked("GetRepository"), s.cloud.asked("instances.get")
	r.calls = s.cloud.methods()
	for _, write := range s.writes() {
		r.lastWrite = max(r.lastWrite, write.begin.Sub(s.kubelets.First()))
	}
	r.statuses = s.kubelets.Counts().Statuses
	if err := s.countRestarts(ctx, r); err != nil {
		return err
	}
	if err := s.countEvents(ctx, r); err != nil {
		return err
	}
	r.requests, err = measure.Requests(s.lab.AuditLog, operatorUser, s.kubelets.First())
	if err != nil {
		return err
	}
	for _, request := range r.requests {
		if request.Verb == "patch" && request.Resource == "deployments.apps" && request.Status == http.StatusOK {
			r.restartTimes = append(r.restartTimes, request.Time)
		}
	}
	return nil
}

// countRestarts goes by the ReplicaSets: each restart makes one more.
func (s *storm) countRestarts(ctx context.Context, r *stormResult) error {
	var sets appsv1.ReplicaSetList
	if err := s.lab.client.List(ctx, &sets); err != nil {
		return fmt.Errorf("list ReplicaSets: %w", err)
	}
	r.restarts = map[string]int{}
	for i := range sets.Items {
		set := &sets.Items[i]
		owner := metav1.GetControllerOf(set)
		if owner == nil || !strings.HasPrefix(set.Namespace, "team-") {
			continue
		}
		key := set.Namespace + "/" + owner.Name
		if _, known := r.restarts[key]; !known {
			r.restarts[key] = -1 // The first was no restart.
		}
		r.restarts[key]++
	}
	return nil
}

// countEvents lists what the operator has told. A series counts each of its repetitions.
func (s *storm) countEvents(ctx context.Context, r *stormResult) error {
	r.podEvents, r.events = map[string]int{}, map[string]int{}
	perPod := map[string]int{}
	options := metav1.ListOptions{FieldSelector: "reportingController=" + operatorName, Limit: 2000}
	for {
		list, err := s.lab.typed.EventsV1().Events(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return fmt.Errorf("list Events: %w", err)
		}
		for i := range list.Items {
			e := &list.Items[i]
			n := times(e)
			r.events[e.Regarding.Kind+" "+e.Reason] += n
			if e.Regarding.Kind == "Pod" {
				r.podEvents[e.Reason] += n
				key := string(e.Regarding.UID) + e.Reason
				perPod[key] += n
				r.mostPerPod = max(r.mostPerPod, perPod[key])
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil
		}
	}
}

func times(e *eventsv1.Event) int {
	if e.Series != nil {
		return int(e.Series.Count)
	}
	return 1
}
