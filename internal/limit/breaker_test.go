// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

func TestRegrants(t *testing.T) {
	entry := func(event string, ago time.Duration) v1alpha1.HistoryEntry {
		return v1alpha1.HistoryEntry{Event: v1alpha1.HistoryEvent(event), Time: metav1.NewTime(now.Add(-ago))}
	}
	for name, tc := range map[string]struct {
		requested bool
		history   []v1alpha1.HistoryEntry
		want      bool
		why       string
	}{
		"zero":                {},
		"first request":       {history: []v1alpha1.HistoryEntry{entry("Granted", time.Hour)}},
		"expired":             {requested: true, history: []v1alpha1.HistoryEntry{entry("Granted", 2*time.Hour), entry("Expired", time.Hour)}, want: true},
		"unused":              {requested: true, history: []v1alpha1.HistoryEntry{entry("Unused", time.Hour)}, want: true},
		"policy gone":         {requested: true, history: []v1alpha1.HistoryEntry{entry("PolicyGone", time.Hour)}, want: true},
		"a day ago":           {requested: true, history: []v1alpha1.HistoryEntry{entry("Expired", 24*time.Hour)}},
		"lapsed":              {requested: true, history: []v1alpha1.HistoryEntry{entry("Lapsed", time.Hour)}, why: "nothing was written, so nothing was revoked"},
		"lapsed since":        {requested: true, history: []v1alpha1.HistoryEntry{entry("Expired", 2*time.Hour), entry("Lapsed", time.Hour)}, why: "the last end counts"},
		"ended after request": {requested: true, history: []v1alpha1.HistoryEntry{entry("Expired", -time.Minute)}, why: "another request was revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.PullAccessGrant{}
			g.Status.History = tc.history
			if tc.requested {
				at := metav1.NewTime(now)
				g.Status.RequestedTime = &at
			}
			if got := Regrants(g); got != tc.want {
				t.Errorf("Regrants = %v, want %v (%s)", got, tc.want, tc.why)
			}
		})
	}
}
