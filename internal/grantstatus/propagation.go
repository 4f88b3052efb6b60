// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"slices"
	"time"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// PropagationTime is the longest time that IAM needs to propagate a change. A pull that
// fails later than that after a grant fails for another cause.
// https://cloud.google.com/iam/docs/access-change-propagation
const PropagationTime = 15 * time.Minute

// Propagated reports whether the member was granted so long ago that IAM has propagated it.
func Propagated(g *v1alpha1.PullAccessGrant, now time.Time) bool {
	return Granted(g) && g.Status.GrantedTime != nil && now.Sub(g.Status.GrantedTime.Time) > PropagationTime
}

// ListsWorkload reports whether the workload requested the grant or waits for it.
func ListsWorkload(g *v1alpha1.PullAccessGrant, w v1alpha1.Workload) bool {
	return Same(g.Spec.Workload, w) ||
		slices.ContainsFunc(g.Status.Workloads, func(s v1alpha1.WorkloadStatus) bool { return Same(s.Workload, w) })
}
