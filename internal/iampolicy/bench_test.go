// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"fmt"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// BenchmarkEdit shows what is thought around one write of a policy, when that is
// empty and when it is nearly full.
func BenchmarkEdit(b *testing.B) {
	for _, there := range []int{0, MaxPrincipals - 1} {
		b.Run(fmt.Sprintf("principals=%d", there), func(b *testing.B) {
			before := &iampb.Policy{Etag: []byte("e")}
			if there > 0 {
				before.Bindings = []*iampb.Binding{{Role: Role}}
			}
			for i := range there {
				member := fmt.Sprintf("serviceAccount:node-%d@acme.iam.gserviceaccount.com", i)
				before.Bindings[0].Members = append(before.Bindings[0].Members, member)
			}
			for b.Loop() {
				after, change, err := Apply(before, Edit{Add: []string{nodes}})
				if err != nil {
					b.Fatalf("Apply: %v", err)
				}
				if err := Verify(before, after, change); err != nil {
					b.Fatalf("Verify: %v", err)
				}
				if !SameReaders(after, after) {
					b.Fatal("a policy has other readers than itself")
				}
			}
		})
	}
}
