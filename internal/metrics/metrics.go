// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics is the catalogue of the series that the operator shows besides
// those of controller-runtime. Labels come from closed sets: never a pod, an
// image, a namespace or a text.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

const namespace = "pullaccess"

// Outcomes of a decision.
const (
	OutcomeGrant  = "grant"
	OutcomeAsk    = "ask"
	OutcomeDryRun = "dry_run"
	OutcomeRefuse = "refuse"
)

var (
	pullFailures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "pull_failures_total",
		Help: "Containers seen that cannot pull their image, by cause.",
	}, []string{"cause"})
	decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "decisions_total",
		Help: "Decisions on failures, by outcome and reason.",
	}, []string{"outcome", "reason"})
	grants = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "grants_total",
		Help: "Ends of attempts to add a member to a repository's policy or take it out, by result.",
	}, []string{"result"})
	grantDuration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "grant_duration_seconds",
		Help:    "Seconds that one read-modify-write of a repository's policy took, with its repetitions.",
		Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120},
	})
	restarts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "restarts_total",
		Help: "Restarts of workloads after a grant, by result.",
	}, []string{"result"})
	limits = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "limits_reached_total",
		Help: "Times that a limit of a policy began to hold something back, by limit.",
	}, []string{"limit"})
	recovery = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "recovery_seconds",
		Help:    "Seconds from the first failure seen of a workload until its pods had started.",
		Buckets: []float64{5, 15, 30, 60, 120, 240, 420, 600, 1200, 3600},
	})
)

// Register adds the series to the registry that controller-runtime serves.
// standing is asked at every scrape.
func Register(standing func() Standing) error {
	for _, c := range []prometheus.Collector{
		pullFailures, decisions, grants, grantDuration, restarts, limits, recovery, standingCollector(standing),
	} {
		if err := metrics.Registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// PullFailure counts a container that was newly seen to fail.
func PullFailure(cause string) { pullFailures.WithLabelValues(cause).Inc() }

// Decision counts a decision that is new or has changed.
func Decision(outcome, reason string) { decisions.WithLabelValues(outcome, reason).Inc() }

// Grant counts the end of an attempt at one member: a reason of the condition Granted.
func Grant(result string) { grants.WithLabelValues(result).Inc() }

// GrantDuration observes one edit of a policy.
func GrantDuration(d time.Duration) { grantDuration.Observe(d.Seconds()) }

// Restart counts a restart; result is "done", "failed" or "refused".
func Restart(result string) { restarts.WithLabelValues(result).Inc() }

// LimitReached counts a limit that began to hold something back.
func LimitReached(limit string) { limits.WithLabelValues(limit).Inc() }

// Recovery observes one workload's way from failure to recovery.
func Recovery(d time.Duration) { recovery.Observe(d.Seconds()) }
