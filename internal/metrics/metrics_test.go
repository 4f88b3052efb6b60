// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// TestCatalogue: after one of everything the registry shows each series once,
// under the labels that are promised and no others.
func TestCatalogue(t *testing.T) {
	now := Standing{ActiveGrants: 1}
	if err := Register(func() Standing { return now }); err != nil {
		t.Fatal(err)
	}
	if err := Register(func() Standing { return now }); err == nil {
		t.Error("the series were registered twice")
	}
	PullFailure("PermissionDenied")
	Decision(OutcomeGrant, "PolicyEnforces")
	Grant("AccessGranted")
	GrantDuration(300 * time.Millisecond)
	Restart("done")
	Recovery(90 * time.Second)
	now = Standing{ActiveGrants: 2, StuckWorkloads: 3} // Asked at the scrape, not at the registration.

	want := map[string]float64{
		"pullaccess_pull_failures_total cause=PermissionDenied":          1,
		"pullaccess_decisions_total outcome=grant reason=PolicyEnforces": 1,
		"pullaccess_grants_total result=AccessGranted":                   1,
		"pullaccess_grant_duration_seconds":                              0.3,
		"pullaccess_restarts_total result=done":                          1,
		"pullaccess_recovery_seconds":                                    90,
		"pullaccess_active_grants":                                       2,
		"pullaccess_stuck_workloads":                                     3,
	}
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), namespace+"_") {
			continue
		}
		for _, metric := range family.GetMetric() {
			series := family.GetName()
			for _, label := range metric.GetLabel() {
				series += " " + label.GetName() + "=" + label.GetValue()
			}
			got[series] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + metric.GetHistogram().GetSampleSum()
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}
