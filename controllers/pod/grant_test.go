// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

func TestDenialLeadsToOneGrant(t *testing.T) {
	e := newEnv(t)
	r := e.build()
	for pass, text := range []struct{ reason, message string }{
		{"ErrImagePull", controllertest.Denial(image)},
		{"ImagePullBackOff", `Back-off pulling image "` + image + `"`},
		{"ErrImagePull", controllertest.Denial(image)},
		{"ImagePullBackOff", `Back-off pulling image "` + image + `": ErrImagePull: ` + controllertest.Denial(image)},
	} {
		result, err := e.fail(r, text.reason, text.message)
		if err != nil || result != (reconcile.Result{}) {
			t.Fatalf("pass %d: %+v, %v", pass, result, err)
		}
	}
	grants := e.Grants()
	if len(grants) != 1 {
		t.Fatalf("%d grants, want 1", len(grants))
	}
	want := grantOf("prod", deploymentNamed("web"))
	want.Spec.Evidence = "403 Forbidden"
	want.Spec.Unknowns = []string{"deny policies and access from folders and the organization: Policy Troubleshooter was not asked"}
	if diff := cmp.Diff(want.Spec, grants[0].Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.Finalizers, grants[0].Finalizers); diff != "" {
		t.Errorf("finalizers (-want +got): without one the access outlives its record:\n%s", diff)
	}
	if grants[0].Name != grantName {
		t.Errorf("the grant is called %s, want %s", grants[0].Name, grantName)
	}
	if diff := cmp.Diff(map[string]int{"create": 1}, e.Writes()); diff != "" {
		t.Errorf("writes of four passes (-want +got):\n%s", diff)
	}
	if said := e.Recorder.Take(); len(said) != 1 || !strings.HasPrefix(said[0], "Normal AccessRequested ") {
		t.Errorf("four passes said %q, want AccessRequested once", said)
	}
}

// TestManyPodsMeetInOneGrant: what a storm costs follows workloads, not pods.
func TestManyPodsMeetInOneGrant(t *testing.T) {
	e := newEnv(t)
	r := e.build()
	for i := range 300 {
		e.pod = podOf([]string{"web", "api"}[i%2], i)
		if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
			t.Fatalf("pod %d: %v", i, err)
		}
	}
	grants := e.Grants()
	if len(grants) != 1 {
		t.Fatalf("%d grants, want 1", len(grants))
	}
	if first := grants[0].Spec.Workload; first != deploymentNamed("web") {
		t.Errorf("the first workload is %+v", first)
	}
	if joined := grants[0].Status.Workloads; len(joined) != 1 || joined[0].Workload != deploymentNamed("api") || joined[0].Policy != "prod" {
		t.Errorf("joined are %+v, want Deployment api alone", joined)
	}
	if diff := cmp.Diff(map[string]int{"create": 1, "patch status": 1}, e.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	for kind, want := range map[string]int{"Node": 1, "ServiceAccount": 1} {
		if got := e.gets(kind); got != want {
			t.Errorf("%s was read %d times for 300 pods, want %d", kind, got, want)
		}
	}
	if got := e.gets("PartialObjectMetadata"); got != 302 {
		t.Errorf("%d reads of metadata, want one of the cached namespace for each pod and one of each ReplicaSet", got)
	}
	if said := e.Recorder.Take(); len(said) != 300 {
		t.Errorf("%d events, want one a pod", len(said))
	}
}

func TestBackOffAloneIsNoCause(t *testing.T) {
	e := newEnv(t)
	r := e.build()
	if _, err := e.fail(r, "ImagePullBackOff", `Back-off pulling image "`+image+`"`); err != nil {
		t.Fatal(err)
	}
	if said := e.Recorder.Take(); len(said) != 1 || !strings.HasPrefix(said[0], "Warning BackOff ") || len(e.Cloud.Calls.Strings()) > 0 {
		t.Fatalf("a back-off without a cause said %q and read %q", said, e.Cloud.Calls.Strings())
	}
	if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
		t.Fatal(err)
	}
	if len(e.Grants()) != 1 {
		t.Error("the cause that came after the back-off leads to no grant")
	}
}

// TestAnotherImageHasACauseOfItsOwn: a cause is kept for one image of one pod.
func TestAnotherImageHasACauseOfItsOwn(t *testing.T) {
	e := newEnv(t)
	r := e.build()
	if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
		t.Fatal(err)
	}
	e.Recorder.Take()
	other := strings.Replace(image, "checkout", "basket", 1)
	e.pod.Spec.Containers[0].Image = other
	if _, err := e.fail(r, "ImagePullBackOff", `Back-off pulling image "`+other+`"`); err != nil {
		t.Fatal(err)
	}
	if said := e.Recorder.Take(); len(said) != 1 || !strings.HasPrefix(said[0], "Warning BackOff ") {
		t.Errorf("another image's back-off said %q", said)
	}
}

func TestDeletedPodIsIgnored(t *testing.T) {
	e := newEnv(t)
	r := e.build()
	e.pod.DeletionTimestamp = &metav1.Time{Time: start}
	if result, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil || result != (reconcile.Result{}) {
		t.Errorf("Reconcile = %+v, %v", result, err)
	}
	if said := e.Recorder.Take(); len(said)+len(e.Cloud.Calls.Strings())+len(e.Writes()) > 0 {
		t.Errorf("said %q, read %q, wrote %v", said, e.Cloud.Calls.Strings(), e.Writes())
	}
}

func TestTakenNameIsAnError(t *testing.T) {
	for name, edit := range map[string]func(*v1alpha1.PullAccessGrantSpec){
		"another repository": func(s *v1alpha1.PullAccessGrantSpec) { s.Repository.Name = "other" },
		"another member":     func(s *v1alpha1.PullAccessGrantSpec) { s.Member = "serviceAccount:x@acme-prod.iam.gserviceaccount.com" },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.grant = grantOf("prod", deploymentNamed("web"))
			edit(&e.grant.Spec)
			r := e.build()
			if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); !errors.Is(err, errTaken) {
				t.Errorf("Reconcile: %v, want errTaken", err)
			}
			if said := e.Recorder.Take(); len(said)+len(e.Writes()) > 0 {
				t.Errorf("said %q, wrote %v", said, e.Writes())
			}
		})
	}
}

func TestFullListIsLookedAtAgain(t *testing.T) {
	e := newEnv(t)
	e.grant = grantOf("prod", deploymentNamed("w-0"))
	for i := range grantstatus.MaxWorkloads {
		grantstatus.Join(e.grant, deploymentNamed(fmt.Sprint("w-", i)), "prod", start)
	}
	r := e.build()
	result, err := e.fail(r, "ErrImagePull", controllertest.Denial(image))
	if err != nil || result.RequeueAfter != fullAgain {
		t.Errorf("Reconcile = %+v, %v; want another look after %v", result, err, fullAgain)
	}
	if len(e.Writes()) > 0 {
		t.Errorf("wrote %v", e.Writes())
	}
}

// TestTheFirstContainerThatIsDueCounts has one container wait for a fact and one for room on a full grant.
func TestTheFirstContainerThatIsDueCounts(t *testing.T) {
	for _, late := range []time.Duration{7 * time.Second, time.Hour} {
		for _, names := range [][]string{{"app", "late"}, {"late", "app"}} {
			e := newEnv(t)
			e.grant = grantOf("prod", deploymentNamed("w-0"))
			for i := range grantstatus.MaxWorkloads {
				grantstatus.Join(e.grant, deploymentNamed(fmt.Sprint("w-", i)), "prod", start)
			}
			e.Cloud.Repositories["late"] = diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unavailable, RetryAfter: late}}
			images := map[string]string{"app": image, "late": "us-central1-docker.pkg.dev/acme-prod/late/app:1"}
			e.pod.Spec.Containers = nil
			for _, name := range names {
				e.pod.Spec.Containers = append(e.pod.Spec.Containers, corev1.Container{Name: name, Image: images[name]})
				e.pod.Status.ContainerStatuses = append(e.pod.Status.ContainerStatuses, corev1.ContainerStatus{
					Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: controllertest.Denial(images[name])}},
				})
			}
			result, err := e.build().Reconcile(t.Context(), e.pod)
			if want := min(late, fullAgain); err != nil || result.RequeueAfter != want {
				t.Errorf("%v, %s: Reconcile = %+v, %v; want to be called after %s", names, late, result, err, want)
			}
		}
	}
}

// TestEndedGrantIsAskedForAnew: what was taken back comes back by the same record.
func TestEndedGrantIsAskedForAnew(t *testing.T) {
	e := newEnv(t)
	e.grant = grantOf("prod", deploymentNamed("api"))
	grantstatus.Grant(e.grant, v1alpha1.OriginAdded, "etag-2", start)
	grantstatus.End(e.grant, v1alpha1.EndExpired, start)
	r := e.build()
	for range 2 {
		if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
			t.Fatal(err)
		}
	}
	grants := e.Grants()
	if len(grants) != 1 || grantstatus.Ended(&grants[0]) {
		t.Fatalf("grants %+v, want the one, asked for anew", grants)
	}
	if joined := grants[0].Status.Workloads; len(joined) == 0 || joined[len(joined)-1].Workload != deploymentNamed("web") {
		t.Errorf("joined are %+v, want Deployment web", joined)
	}
	if said := e.Recorder.Take(); len(said) != 1 || !strings.HasPrefix(said[0], "Normal AccessRequested ") {
		t.Errorf("said %q", said)
	}
}

// TestGrantInDeletionIsLeftAlone: it is on its way out, and made anew after.
func TestGrantInDeletionIsLeftAlone(t *testing.T) {
	e := newEnv(t)
	e.grant = grantOf("prod", deploymentNamed("api"))
	e.grant.DeletionTimestamp = &metav1.Time{Time: start}
	r := e.build()
	if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil || len(e.Writes()) > 0 {
		t.Errorf("Reconcile: %v, wrote %v", err, e.Writes())
	}
}

func TestErrorsOfTheCluster(t *testing.T) {
	broken := errors.New("broken")
	grants := schema.GroupResource{Group: "pullaccess.dev", Resource: "pullaccessgrants"}
	failCreate := func(err error) interceptor.Funcs {
		return interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return err }}
	}
	failGet := func(fails func(client.Object) bool) interceptor.Funcs {
		return interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if fails(obj) {
				return broken
			}
			return c.Get(ctx, key, obj, opts...)
		}}
	}
	metadata := func(kind string) func(client.Object) bool {
		return func(obj client.Object) bool {
			partial, ok := obj.(*metav1.PartialObjectMetadata)
			return ok && partial.Kind == kind
		}
	}
	tests := map[string]struct {
		funcs interceptor.Funcs
		again bool
		why   string
	}{
		"created by another worker": {
			funcs: failCreate(apierrors.NewAlreadyExists(grants, grantName)), again: true, why: "the cache is behind; that is no error",
		},
		"create refused": {funcs: failCreate(broken)},
		"namespace":      {funcs: failGet(metadata("Namespace"))},
		"owner":          {funcs: failGet(metadata("ReplicaSet"))},
		"node":           {funcs: failGet(func(o client.Object) bool { _, ok := o.(*corev1.Node); return ok })},
		"account":        {funcs: failGet(func(o client.Object) bool { _, ok := o.(*corev1.ServiceAccount); return ok })},
		"grant":          {funcs: failGet(func(o client.Object) bool { _, ok := o.(*v1alpha1.PullAccessGrant); return ok })},
		"policies": {funcs: interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return broken
		}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.Faults = tc.funcs
			result, err := e.fail(e.build(), "ErrImagePull", controllertest.Denial(image))
			if tc.again != (err == nil) || tc.again != (result.RequeueAfter > 0) || !tc.again && !errors.Is(err, broken) {
				t.Errorf("Reconcile = %+v, %v (%s)", result, err, tc.why)
			}
			if said := e.Recorder.Take(); len(said) > 0 {
				t.Errorf("said %q of what has not happened", said)
			}
		})
	}
}
