// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"errors"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

func keyOf(o client.Object) client.ObjectKey { return client.ObjectKeyFromObject(o) }

// TestRevoke: what the operator added, or may have added, goes; all else stays.
// No policy is needed for it.
func TestRevoke(t *testing.T) {
	begun := requested(nodes)
	begun.Finalizers = []string{v1alpha1.Finalizer}
	tests := map[string]struct {
		g       *v1alpha1.PullAccessGrant
		readers []string
		want    []string
		told    bool
		why     string
	}{
		"added":                        {g: granted(nodes, v1alpha1.OriginAdded), readers: []string{foreign, nodes}, want: []string{foreign}, told: true},
		"added, the only reader":       {g: granted(nodes, v1alpha1.OriginAdded), readers: []string{nodes}, told: true},
		"added, removed by others":     {g: granted(nodes, v1alpha1.OriginAdded), readers: []string{foreign}, want: []string{foreign}, told: true},
		"interrupted, it took effect":  {g: intended(nodes), readers: []string{foreign, nodes}, want: []string{foreign}, told: true},
		"found":                        {g: granted(nodes, v1alpha1.OriginFound), readers: []string{foreign, nodes}, want: []string{foreign, nodes}, why: "it was there before"},
		"nothing begun, finalizer set": {g: begun, readers: []string{foreign, nodes}, want: []string{foreign, nodes}, why: "the operator did not add it"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, tc.readers, tc.g)
			e.Delete(e.grant(nodes))
			e.mustPass()
			e.wantReaders(tc.want...)
			if e.grant(nodes) != nil {
				t.Error("the grant is still held by its finalizer")
			}
			if told := slices.Contains(e.Recorder.Events(), "AccessRevoked PullAccessGrant/"+nameOf(nodes)); told != tc.told {
				t.Errorf("told %q, want Revoked among it: %v (%s)", e.Recorder.Events(), tc.told, tc.why)
			}
		})
	}
}

// TestRevocationMeetsTheCloud: the record is let go only when the access is gone.
func TestRevocationMeetsTheCloud(t *testing.T) {
	tests := map[string]struct {
		err       error
		wantReady string
		wantErr   error
		why       string
	}{
		"repository gone": {err: iampolicy.ErrNotFound, why: "it took the access with it"},
		"forbidden":       {err: iampolicy.ErrForbidden, wantReady: "False CloudForbidden", why: "the member is still in"},
		"unavailable":     {err: iampolicy.ErrUnavailable, wantReady: "Unknown CloudUnreachable", wantErr: iampolicy.ErrUnavailable, why: "it is tried again"},
		"no trouble":      {why: "the member was taken out"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign, nodes), enforcing(), granted(nodes, v1alpha1.OriginAdded))
			e.nextEdits(tc.err)
			e.Delete(e.grant(nodes))
			if _, err := e.pass(); !errors.Is(err, tc.wantErr) {
				t.Errorf("Reconcile: %v, want %v", err, tc.wantErr)
			}
			if tc.wantReady == "" {
				if e.grant(nodes) != nil {
					t.Errorf("the grant is still held: %s", tc.why)
				}
				return
			}
			e.wantCondition(nodes, v1alpha1.ConditionGranted, "True AccessGranted")
			e.wantCondition(nodes, v1alpha1.ConditionReady, tc.wantReady)
			if !slices.Contains(e.grant(nodes).Finalizers, v1alpha1.Finalizer) {
				t.Errorf("the grant was let go: %s", tc.why)
			}
			e.mustPass()
			e.wantReaders(foreign)
		})
	}
}
