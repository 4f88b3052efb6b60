// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// fakeInformer has the first list or not.
type fakeInformer struct {
	cache.Informer
	isSynced bool
}

func (f fakeInformer) HasSynced() bool { return f.isSynced }

func TestSynced(t *testing.T) {
	for name, isSynced := range map[string]bool{"before the first list": false, "after the first list": true} {
		t.Run(name, func(t *testing.T) {
			if err := synced(fakeInformer{isSynced: isSynced})(nil); (err == nil) != isSynced {
				t.Errorf("the check answers %v where synced is %v", err, isSynced)
			}
		})
	}
}
