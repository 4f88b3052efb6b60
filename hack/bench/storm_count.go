// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/hack/bench/measure"
)

// restartWindow is the window in which restarts are counted for their rate.
const restartWindow = 10 * time.Second

// stormResult is what one storm has cost.
type stormResult struct {
	shape
	// Calls to Google in all, and those of a kind by resource.
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

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// stormTable is all storms side by side.
func stormTable(results []*stormResult, latency time.Duration) *table {
	t := &table{
		title: fmt.Sprintf("Storms: all pods fail within %s; %s a call to Google, %s until IAM has spread, restarts due %s after a grant",
			stormSpread, latency, spreads, restartDelay),
		head: []string{"counted"},
	}
	for _, r := range results {
		t.head = append(t.head, fmt.Sprintf("%d pods", r.pods))
	}
	t.head = append(t.head, "target")
	row := func(label, target string, of func(r *stormResult) cell) {
		var cells []cell
		for _, r := range results {
			cells = append(cells, of(r))
		}
		t.add(label, cells, target)
	}
	row("Deployments / namespaces", "", func(r *stormResult) cell { return figure("%d / %d", r.deployments, r.namespaces) })
	row("nodes", "", func(r *stormResult) cell { return figure("%d", r.nodes) })
	row("statuses written by kubelets", "", func(r *stormResult) cell { return figure("%d", r.statuses) })
	row("IAM policy reads", "1 per repository", func(r *stormResult) cell { return exactly(total(r.reads), r.repositories) })
	row("IAM policy writes", "1 per repository", func(r *stormResult) cell { return exactly(total(r.writes), r.repositories) })
	row("GetRepository", "1 per repository", func(r *stormResult) cell { return exactly(total(r.repositoriesRead), r.repositories) })
	row("instances.get", "1 per node pool", func(r *stormResult) cell { return exactly(total(r.instances), len(pools)) })
	row("calls to Google in all", "", func(r *stormResult) cell { return figure("%d", total(r.calls)) })
	addKinds(t, results, func(r *stormResult) map[string]int { return r.calls })
	row("Deployments restarted", "all", func(r *stormResult) cell { return exactly(restarted(r, 1), r.deployments) })
	row("Deployments restarted twice or more", "none", func(r *stormResult) cell { return exactly(restarted(r, 2), 0) })
	row("most restarts within 10 s", "", func(r *stormResult) cell { return figure("%d", measure.BusiestWindow(r.restartTimes, restartWindow)) })
	row("Events on pods", "", func(r *stormResult) cell { return figure("%d", total(r.podEvents)) })
	row("most Events of one reason on one pod", "1", func(r *stormResult) cell { return atMost(r.mostPerPod, 1) })
	row("Events in all", "", func(r *stormResult) cell { return figure("%d", total(r.events)) })
	addKinds(t, results, func(r *stormResult) map[string]int { return r.events })
	t.addRequests(results)
	row("first failure to last IAM write", "<= 15 s", func(r *stormResult) cell { return seconds(r.lastWrite) })
	row("first failure to all pods running", "", func(r *stormResult) cell { return seconds(r.recovered) })
	row("peak resident memory", "<= 200 MB", func(r *stormResult) cell { return megabytes(r.peak) })
	row("CPU of the operator", "", func(r *stormResult) cell { return seconds(r.cpu) })
	return t
}

// restarted counts the Deployments that were restarted so often or more.
func restarted(r *stormResult, times int) int {
	n := 0
	for _, restarts := range r.restarts {
		if restarts >= times {
			n++
		}
	}
	return n
}

// addKinds adds a line for each kind of what was counted.
func addKinds(t *table, results []*stormResult, of func(r *stormResult) map[string]int) {
	kinds := map[string]int{}
	for _, r := range results {
		maps.Copy(kinds, of(r))
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		var cells []cell
		for _, r := range results {
			cells = append(cells, figure("%d", of(r)[kind]))
		}
		t.add("  "+kind, cells, "")
	}
}

// addRequests adds what was asked of the API server, a line for each kind.
func (t *table) addRequests(results []*stormResult) {
	writes := func(r measure.Request) bool { return r.Writes() }
	counted := func(kind func(measure.Request) bool) []cell {
		var cells []cell
		for _, r := range results {
			n := 0
			for _, request := range r.requests {
				if kind(request) {
					n++
				}
			}
			cells = append(cells, figure("%d (%.2f)", n, float64(n)/float64(r.deployments)))
		}
		return cells
	}
	t.add("API writes (per Deployment)", counted(writes), "")
	t.add("  of them conflicts", counted(func(r measure.Request) bool { return r.Writes() && r.Conflict() }), "")
	kinds := map[string]bool{}
	for _, r := range results {
		for _, request := range r.requests {
			kinds[request.Kind()] = true
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if strings.HasPrefix(kind, "write") {
			t.add("  "+strings.TrimPrefix(kind, "write "), counted(func(r measure.Request) bool { return r.Kind() == kind }), "")
		}
	}
	t.add("API reads (per Deployment)", counted(func(r measure.Request) bool { return !r.Writes() }), "")
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if strings.HasPrefix(kind, "read") {
			t.add("  "+strings.TrimPrefix(kind, "read "), counted(func(r measure.Request) bool { return r.Kind() == kind }), "")
		}
	}
}
