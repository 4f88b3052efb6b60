// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"strconv"
	"testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestWritesAreRememberedWithinABound checks the number of writes that are kept, because
// each keeps a whole object.
func TestWritesAreRememberedWithinABound(t *testing.T) {
	const many, most = 5000, 1100
	turns := NewGrants()
	for i := range many {
		g := &v1alpha1.PullAccessGrant{}
		g.Name = strconv.Itoa(i)
		turns.Made(g)
	}
	if written, made := len(turns.written.Keys()), len(turns.made.Keys()); written > most || made > most {
		t.Errorf("%d writes and %d new objects are remembered, want at most %d of each", written, made, most)
	}
}
