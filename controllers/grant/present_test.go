// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestAMemberCountsAsPresentForAMinuteAfterAWrite: a read of the IAM policy may come from
// before the write, and a member that is missing in it is taken for removed only later.
func TestAMemberCountsAsPresentForAMinuteAfterAWrite(t *testing.T) {
	for name, tc := range map[string]struct {
		age  time.Duration
		want string
	}{
		"at once":              {0, "True AccessGranted"},
		"just within a minute": {time.Minute - time.Second, "True AccessGranted"},
		"after a minute":       {time.Minute, "False RemovedExternally"},
	} {
		t.Run(name, func(t *testing.T) {
			g := granted(nodes, v1alpha1.OriginAdded)
			g.Status.GrantedTime = &metav1.Time{Time: now.Add(-tc.age)}
			e := newEnv(t, readers(foreign), enforcing(), g)
			e.mustPass()
			e.wantCondition(nodes, v1alpha1.ConditionGranted, tc.want)
			if e.looks() != 1 || len(e.Cloud.Sent) > 0 {
				t.Errorf("%d looks and %d writes, want one look", e.looks(), len(e.Cloud.Sent))
			}
		})
	}
}
