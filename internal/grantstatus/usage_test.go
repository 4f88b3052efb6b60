// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// ago is a time on record, so long before now.
func ago(d time.Duration) *metav1.Time {
	t := metav1.NewTime(now.Add(-d))
	return &t
}

func TestMarkUsage(t *testing.T) {
	unused := &v1alpha1.Ending{Reason: v1alpha1.EndUnused, DueTime: *ago(time.Minute)}
	expired := &v1alpha1.Ending{Reason: v1alpha1.EndExpired, DueTime: *ago(time.Minute)}
	tests := map[string]struct {
		mark    func(*v1alpha1.PullAccessGrant, time.Time)
		usage   v1alpha1.Usage
		ending  *v1alpha1.Ending
		granted *metav1.Time
		want    v1alpha1.Usage
		why     string
	}{
		"first use":        {mark: MarkUsed, want: v1alpha1.Usage{LastUsedTime: ago(0)}},
		"use within hour":  {mark: MarkUsed, usage: v1alpha1.Usage{LastUsedTime: ago(time.Hour - time.Second)}, want: v1alpha1.Usage{LastUsedTime: ago(time.Hour - time.Second)}, why: "steady use is written once an hour"},
		"use after hour":   {mark: MarkUsed, usage: v1alpha1.Usage{LastUsedTime: ago(time.Hour)}, want: v1alpha1.Usage{LastUsedTime: ago(0)}},
		"clock went back":  {mark: MarkUsed, usage: v1alpha1.Usage{LastUsedTime: ago(-time.Hour)}, want: v1alpha1.Usage{LastUsedTime: ago(-time.Hour)}, why: "the later word stays"},
		"used again":       {mark: MarkUsed, usage: v1alpha1.Usage{LastUsedTime: ago(9 * time.Hour), UnusedSinceTime: ago(8 * time.Hour)}, want: v1alpha1.Usage{LastUsedTime: ago(0)}},
		"used at its end":  {mark: MarkUsed, ending: unused, usage: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour), UnusedCheckedTime: ago(time.Minute)}, want: v1alpha1.Usage{LastUsedTime: ago(0)}, why: "nothing may be left that confirms the end"},
		"used again, soon": {mark: MarkUsed, usage: v1alpha1.Usage{LastUsedTime: ago(time.Minute), UnusedSinceTime: ago(time.Second)}, want: v1alpha1.Usage{LastUsedTime: ago(time.Minute)}},

		"first without use": {mark: MarkUnused, want: v1alpha1.Usage{UnusedSinceTime: ago(0)}},
		"falls out of use":  {mark: MarkUnused, usage: v1alpha1.Usage{LastUsedTime: ago(time.Hour)}, want: v1alpha1.Usage{LastUsedTime: ago(time.Hour), UnusedSinceTime: ago(0)}},
		"still without use": {mark: MarkUnused, granted: ago(9 * time.Hour), usage: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour)}, want: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour)}},
		"announced":         {mark: MarkUnused, ending: unused, usage: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour)}, want: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour), UnusedCheckedTime: ago(0)}},
		"checked again":     {mark: MarkUnused, ending: unused, usage: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour), UnusedCheckedTime: ago(time.Minute)}, want: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour), UnusedCheckedTime: ago(0)}},
		"ends by its time":  {mark: MarkUnused, ending: expired, usage: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour)}, want: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour)}, why: "that end waits for no look"},
		"end taken back":    {mark: MarkUnused, usage: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour), UnusedCheckedTime: ago(time.Minute)}, want: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour)}},
		"granted anew":      {mark: MarkUnused, granted: ago(time.Hour), usage: v1alpha1.Usage{UnusedSinceTime: ago(8 * time.Hour)}, want: v1alpha1.Usage{UnusedSinceTime: ago(0)}, why: "disuse of what had ended does not count against what was granted anew"},
		"granted later":     {mark: MarkUnused, granted: ago(-time.Minute), want: v1alpha1.Usage{UnusedSinceTime: ago(-time.Minute)}, why: "nothing is unused before it is there"},
		"granted just then": {mark: MarkUnused, granted: ago(time.Hour), usage: v1alpha1.Usage{UnusedSinceTime: ago(time.Hour)}, want: v1alpha1.Usage{UnusedSinceTime: ago(time.Hour)}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.PullAccessGrant{}
			g.Status.Usage, g.Status.Ending, g.Status.GrantedTime = tc.usage, tc.ending, tc.granted
			for _, times := range []string{"once", "twice"} {
				tc.mark(g, now)
				if diff := cmp.Diff(tc.want, g.Status.Usage); diff != "" {
					t.Errorf("usage marked %s (-want +got, %s):\n%s", times, tc.why, diff)
				}
			}
		})
	}
}
