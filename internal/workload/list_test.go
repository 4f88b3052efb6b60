// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestPagesShrink checks that smaller pages follow a large one, because the API server
// holds a whole page. No page has more than 500 objects.
func TestPagesShrink(t *testing.T) {
	follow := func(bytes ...int64) (limits []int64) {
		var size PageSize
		for _, n := range bytes {
			limits = append(limits, size.Limit())
			size = size.After(n, nil)
		}
		return append(limits, size.Limit())
	}
	const large, medium = 64 << 20, 2 << 20
	if got, want := follow(large, large, large, large), []int64{100, 25, 6, 5, 5}; !slices.Equal(got, want) {
		t.Errorf("pages that are large have %v objects, want %v", got, want)
	}
	if got, want := follow(1, 1, 1, 1, medium, large, 1), []int64{100, 200, 400, 500, 500, 500, 125, 250}; !slices.Equal(got, want) {
		t.Errorf("pages have %v objects, want %v", got, want)
	}
}

// TestPodsOfAWorkloadAreBounded checks the number of pods in an endless list, and the size
// of a page.
func TestPodsOfAWorkloadAreBounded(t *testing.T) {
	s := newServer(t, &corev1.Pod{ObjectMeta: named("web")})
	s.more, s.bytes = "next", 64<<20
	live := Live{Object: &appsv1.Deployment{}, selector: selecting("web")}
	if err := live.EachPod(t.Context(), s, workloadOf(Deployment, "d"), func(*corev1.Pod) error { return nil }); err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, limit := range s.limits {
		sum += limit
	}
	if sum != 500 || s.limits[len(s.limits)-1] > 5 {
		t.Errorf("the pages were to have %v pods", s.limits)
	}
}

// TestWhatIsRememberedIsBounded adds more owners and nodes than any cluster has, and checks
// the memory.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	const many, most = 40000, 10 << 20
	s := &server{}
	s.Client = interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
			object.SetNamespace(key.Namespace)
			object.SetName(key.Name)
			object.SetUID(types.UID("uid-" + key.Name))
			if node, ok := object.(*corev1.Node); ok {
				node.Spec.ProviderID = key.Name + strings.Repeat("p", 200)
			}
			return nil
		},
	})
	owners, nodes := NewOwners(s), NewNodes(s)
	before := heap()
	for i := range many {
		name := fmt.Sprintf("%0200d", i)
		pod := &corev1.Pod{ObjectMeta: controlledBy(named("x"), "apps/v1", ReplicaSet, fmt.Sprintf("%060d", i))}
		if _, err := owners.Of(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		if _, err := nodes.Named(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if kept := heap() - before; kept > most {
		t.Errorf("%d MB are kept", kept>>20)
	}
	if n := len(owners.known.Keys()); n == 0 || n > 5000 {
		t.Errorf("%d owners are remembered", n)
	}
	runtime.KeepAlive(nodes)
	long := &corev1.Node{}
	long.Name, long.Spec.ProviderID = "node-1", strings.Repeat("p", 10000)
	if node, err := NewNodes(newServer(t, long)).Named(t.Context(), "node-1"); err != nil || node.ProviderID != "" || node.Obstacle.Detail == "" {
		t.Errorf("a provider ID of 10000 bytes: %+v, %v", node, err)
	}
}
