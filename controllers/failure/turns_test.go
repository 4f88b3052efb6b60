// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package failure

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
	if n := len(r.turns.locks); n != 0 {
		t.Errorf("%d locks are left", n)
	}
}

// TestReadsWhatWasWritten: of the cache and our last write the newer one counts.
func TestReadsWhatWasWritten(t *testing.T) {
	for name, tc := range map[string]struct {
		cached, written, want string
	}{
		"nothing written":        {cached: "7", want: "7"},
		"the cache is behind":    {cached: "7", written: "9", want: "9"},
		"others have written":    {cached: "11", written: "9", want: "11"},
		"a version of no number": {cached: "x", written: "9", want: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			turns := newTurns()
			if tc.written != "" {
				written := grantOf("prod", deploymentNamed("web"))
				written.ResourceVersion = tc.written
				turns.wrote(written)
			}
			cached := reader(func(object client.Object) { object.SetResourceVersion(tc.cached) })
			got, err := turns.read(t.Context(), cached, grantName)
			if err != nil || got.ResourceVersion != tc.want {
				t.Errorf("read version %q, %v; want %q", got.ResourceVersion, err, tc.want)
			}
		})
	}
}

// reader finds every object, as it makes it.
type reader func(client.Object)

func (r reader) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	r(object)
	return nil
}

func (r reader) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }
