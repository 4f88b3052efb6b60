// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"strconv"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// TestCheckedRepositoriesAreBounded checks the number of repositories that are kept.
func TestCheckedRepositoriesAreBounded(t *testing.T) {
	const many, most = 20000, 5000
	r := New(Reconciler{Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0))})
	for i := range many {
		r.checked.Add(imageref.Repository{Name: strconv.Itoa(i)}, time.Time{}, checkEvery)
	}
	if n := len(r.checked.Keys()); n == 0 || n > most {
		t.Errorf("%d repositories are remembered, want some, and at most %d", n, most)
	}
}
