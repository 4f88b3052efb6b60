// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
)

// TestPassesTakeTurns: many pods of two Deployments fail at once, and the cache shows
// none of what is written for them. Nothing is written twice, and nothing refused.
func TestPassesTakeTurns(t *testing.T) {
	e := newEnv(t)
	r := e.build()
	e.Faults.Get = func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
		if _, ok := object.(*v1alpha1.PullAccessGrant); ok {
			return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("pullaccessgrants").GroupResource(), key.Name)
		}
		return c.Get(ctx, key, object, options...)
	}
	var all sync.WaitGroup
	for i := range 40 {
		pod := podOf([]string{"web", "api"}[i%2], i)
		controllertest.Failing("ErrImagePull", controllertest.Denial(image))(pod)
		all.Go(func() {
			result, err := r.Reconcile(t.Context(), pod)
			if err != nil || result.RequeueAfter != 0 {
				t.Errorf("%s: %+v, %v", pod.Name, result, err)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff(map[string]int{"create": 1, "patch status": 1}, e.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}
