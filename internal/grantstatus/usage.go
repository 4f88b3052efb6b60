// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// usedAnew is how old the time of the last use gets before it is written again: a
// grant in steady use is not written at every look.
const usedAnew = time.Hour

// MarkUsed records that a look that began at start has found the grant in use, or
// could not rule it out.
func MarkUsed(g *v1alpha1.PullAccessGrant, start time.Time) {
	usage := &g.Status.Usage
	usage.UnusedSinceTime, usage.UnusedCheckedTime = nil, nil
	if usage.LastUsedTime == nil || start.Sub(usage.LastUsedTime.Time) >= usedAnew {
		used := metav1.NewTime(start)
		usage.LastUsedTime = &used
	}
}

// MarkUnused records that a look that began at start has found no use of the
// grant. What was unused before it was granted counts from the grant on. Only
// if the grant is about to be revoked because it is unused, or if a limit delays another
// revocation, is the look itself on record, as the confirmation that the end waits for.
func MarkUnused(g *v1alpha1.PullAccessGrant, start time.Time) {
	usage := &g.Status.Usage
	if granted := g.Status.GrantedTime; granted != nil {
		if usage.UnusedSinceTime != nil && usage.UnusedSinceTime.Before(granted) {
			usage.UnusedSinceTime = nil
		}
		if start.Before(granted.Time) {
			start = granted.Time
		}
	}
	if usage.UnusedSinceTime == nil {
		since := metav1.NewTime(start)
		usage.UnusedSinceTime = &since
	}
	usage.UnusedCheckedTime = nil
	if end := g.Status.Ending; end != nil && (end.Reason == v1alpha1.EndUnused || end.LimitedUntilTime != nil) {
		checked := metav1.NewTime(start)
		usage.UnusedCheckedTime = &checked
	}
}
