// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// server is a cluster that counts reads, and fails every call with nextErr while
// that is set.
type server struct {
	client.Client
	gets    int
	nextErr error
	deleted *client.DeleteOptions
	// limits are the requested limits. bytes is the size of each page. more makes every
	// page say that the list continues.
	limits []int64
	bytes  int64
	more   string
}

func newServer(t *testing.T, objects ...client.Object) *server {
	t.Helper()
	s := &server{}
	s.Client = fake.NewClientBuilder().WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			s.gets++
			if s.nextErr != nil {
				return s.nextErr
			}
			return c.Get(ctx, key, obj, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if s.nextErr != nil {
				return s.nextErr
			}
			return c.List(ctx, list, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			s.deleted = (&client.DeleteOptions{}).ApplyOptions(opts)
			if s.nextErr != nil {
				return s.nextErr
			}
			return c.Delete(ctx, obj, opts...)
		},
	}).Build()
	return s
}

// Each implements Lister.
func (s *server) Each(ctx context.Context, list client.ObjectList, visit func(client.Object) error, opts ...client.ListOption) (int64, error) {
	s.limits = append(s.limits, (&client.ListOptions{}).ApplyOptions(opts).Limit)
	if err := s.List(ctx, list, opts...); err != nil {
		return 0, err
	}
	list.SetContinue(s.more)
	return s.bytes, meta.EachListItem(list, func(item runtime.Object) error {
		object, ok := item.(client.Object)
		if !ok {
			return fmt.Errorf("%T is no object", item)
		}
		return visit(object)
	})
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": name}}
}

func controlledBy(meta metav1.ObjectMeta, apiVersion, kind, name string) metav1.ObjectMeta {
	meta.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: apiVersion, Kind: kind, Name: name, UID: types.UID("uid-" + name), Controller: ptr.To(true),
	}}
	return meta
}

func selecting(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

func templateWith(restartedAt string) corev1.PodTemplateSpec {
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"team": "shop"}}}
	if restartedAt != "" {
		template.Annotations[RestartedAt] = restartedAt
	}
	return template
}

func workloadOf(kind, name string) v1alpha1.Workload {
	return v1alpha1.Workload{Kind: kind, Namespace: "shop", Name: name, UID: types.UID("uid-" + name)}
}
