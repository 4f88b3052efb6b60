// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// TestLargeLabelsAffectOneNamespace: the workloads of a namespace whose labels are omitted
// are not covered, and those of other namespaces on the same grant are.
func TestLargeLabelsAffectOneNamespace(t *testing.T) {
	grant := grantedAt(after(0))
	objects := []client.Object{grant, controllertest.Policy()}
	names := []string{"large", "gone", "small"}
	for _, name := range names {
		namespace := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
		for i := range 200 {
			if name == "large" {
				namespace.Labels["label-"+strconv.Itoa(i)] = strings.Repeat("v", 63)
			}
		}
		if name != "gone" {
			objects = append(objects, &corev1.Namespace{ObjectMeta: workload.CachedNamespace(namespace).ObjectMeta})
		}
		pod := controllertest.Pod("node-1", "web", image, controllertest.Failing("ImagePullBackOff", "Back-off pulling image"))
		pod.Namespace, pod.UID, pod.Status.Phase = name, types.UID("uid-"+name), corev1.PodPending
		objects = append(objects, pod)
		waiting := controllertest.Waiting(workload.Pod, "web")
		waiting.Namespace, waiting.UID = name, pod.UID
		grant.Status.Workloads = append(grant.Status.Workloads, waiting)
	}
	e := newEnv(t, objects...)
	views, _, err := e.r.observe(t.Context(), grant)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if v := views[i]; len(v.stuck) != 1 || v.covered != (name == "small") {
			t.Errorf("namespace %s: %d stuck pods, covered %v", name, len(v.stuck), v.covered)
		}
	}
}
