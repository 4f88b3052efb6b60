// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Standing is how much stands on record now.
type Standing struct {
	// ActiveGrants have their member in the repository's policy.
	ActiveGrants int
	// StuckWorkloads wait for a grant to take effect, or have not recovered.
	StuckWorkloads int
}

var (
	activeGrants = prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "active_grants"),
		"PullAccessGrants whose member is in the repository's policy.", nil, nil)
	stuckWorkloads = prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "stuck_workloads"),
		"Workloads on record that wait for a grant to take effect or have not recovered.", nil, nil)
)

// standingCollector counts at the time of the scrape, so that no series can go
// stale between two changes.
type standingCollector func() Standing

// Describe implements prometheus.Collector.
func (standingCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- activeGrants
	descriptions <- stuckWorkloads
}

// Collect implements prometheus.Collector.
func (c standingCollector) Collect(series chan<- prometheus.Metric) {
	now := c()
	series <- gauge(activeGrants, now.ActiveGrants)
	series <- gauge(stuckWorkloads, now.StuckWorkloads)
}

func gauge(description *prometheus.Desc, value int) prometheus.Metric {
	metric, err := prometheus.NewConstMetric(description, prometheus.GaugeValue, float64(value))
	if err != nil {
		return prometheus.NewInvalidMetric(description, err)
	}
	return metric
}
