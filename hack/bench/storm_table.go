// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pull-access/pull-access-operator/hack/bench/measure"
)

// restartWindow is the window in which restarts are counted for their rate.
const restartWindow = 10 * time.Second

// stormTable is all storms side by side.
func stormTable(results []*stormResult, latency time.Duration) *table {
	t := compare("counted", "target", results)
	t.title = fmt.Sprintf("Storms: all pods fail within %s; %s a call to Google, %s until IAM has spread, restarts due %s after a grant",
		stormSpread, latency, iamDelay, restartDelay)
	t.line("Deployments / namespaces", "", func(r *stormResult) cell { return figure("%d / %d", r.deployments, r.namespaces) })
	t.line("nodes", "", func(r *stormResult) cell { return figure("%d", r.nodes) })
	t.line("statuses written by kubelets", "", func(r *stormResult) cell { return figure("%d", r.statuses) })
	t.line("IAM policy reads", "1 per repository", func(r *stormResult) cell { return exactly(total(r.reads), r.repositories) })
	t.line("IAM policy writes", "1 per repository", func(r *stormResult) cell { return exactly(total(r.writes), r.repositories) })
	t.line("GetRepository", "1 per repository", func(r *stormResult) cell { return exactly(total(r.repositoriesRead), r.repositories) })
	t.line("instances.get", "1 per node pool", func(r *stormResult) cell { return exactly(total(r.instances), len(pools)) })
	t.line("calls to Google in all", "", func(r *stormResult) cell { return figure("%d", total(r.calls)) })
	addKinds(t, func(r *stormResult) map[string]int { return r.calls })
	t.line("Deployments restarted", "all", func(r *stormResult) cell { return exactly(restarted(r, 1), r.deployments) })
	t.line("Deployments restarted twice or more", "none", func(r *stormResult) cell { return exactly(restarted(r, 2), 0) })
	t.line("most restarts within 10 s", "", func(r *stormResult) cell { return figure("%d", measure.BusiestWindow(r.restartTimes, restartWindow)) })
	t.line("Events on pods", "", func(r *stormResult) cell { return figure("%d", total(r.podEvents)) })
	t.line("most Events of one reason on one pod", "1", func(r *stormResult) cell { return atMost(r.mostPerPod, 1) })
	t.line("Events in all", "", func(r *stormResult) cell { return figure("%d", total(r.events)) })
	addKinds(t, func(r *stormResult) map[string]int { return r.events })
	addRequests(t)
	t.line("first failure to last IAM write", "<= 15 s", func(r *stormResult) cell { return seconds(r.lastWrite) })
	t.line("first failure to all pods running", "", func(r *stormResult) cell { return seconds(r.recovered) })
	t.line("peak resident memory", "<= 200 MB", func(r *stormResult) cell { return megabytes(r.peak) })
	t.line("CPU of the operator", "", func(r *stormResult) cell { return seconds(r.cpu) })
	return t.table
}

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
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
func addKinds(t comparison[*stormResult], of func(r *stormResult) map[string]int) {
	kinds := map[string]int{}
	for _, r := range t.results {
		maps.Copy(kinds, of(r))
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t.line("  "+kind, "", func(r *stormResult) cell { return figure("%d", of(r)[kind]) })
	}
}

// addRequests adds what was asked of the API server, a line for each kind.
func addRequests(t comparison[*stormResult]) {
	count := func(label string, counts func(measure.Request) bool) {
		t.line(label, "", func(r *stormResult) cell {
			n := 0
			for _, request := range r.requests {
				if counts(request) {
					n++
				}
			}
			return figure("%d (%.2f)", n, float64(n)/float64(r.deployments))
		})
	}
	kinds := map[string]bool{}
	for _, r := range t.results {
		for _, request := range r.requests {
			kinds[request.Kind()] = true
		}
	}
	detail := func(access string) {
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			if what, ok := strings.CutPrefix(kind, access); ok {
				count("  "+what, func(r measure.Request) bool { return r.Kind() == kind })
			}
		}
	}
	count("API writes (per Deployment)", measure.Request.Writes)
	count("  of them conflicts", func(r measure.Request) bool { return r.Writes() && r.Conflict() })
	detail("write ")
	count("API reads (per Deployment)", func(r measure.Request) bool { return !r.Writes() })
	detail("read ")
}
