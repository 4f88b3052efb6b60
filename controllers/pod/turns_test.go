// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestPassesTakeTurns: many pods of two Deployments fail at once, and the cache shows
// none of what is written for them. Nothing is written twice, and nothing refused.
func TestPassesTakeTurns(t *testing.T) {
	w := newWorld()
	r := w.build(t)
	blind := interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
		if _, ok := object.(*v1alpha1.PullAccessGrant); ok {
			return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("pullaccessgrants").GroupResource(), key.Name)
		}
		return c.Get(ctx, key, object, options...)
	}}
	cached, ok := w.client.(client.WithWatch)
	if !ok {
		t.Fatalf("%T does not watch", w.client)
	}
	r.Client = interceptor.NewClient(cached, blind)
	var all sync.WaitGroup
	for i := range 40 {
		pod := podOf([]string{"web", "api"}[i%2], i)
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: denial(image)}},
		}}
		all.Go(func() {
			result, err := r.Reconcile(t.Context(), pod)
			if err != nil || result.RequeueAfter != 0 {
				t.Errorf("%s: %+v, %v", pod.Name, result, err)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff(map[string]int{"create": 1, "patch status": 1}, w.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}
