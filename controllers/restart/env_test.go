// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

const image = controllertest.Image

// The nodes pull as two accounts: node-1 as the member of the first grant, node-2 as that of
// the second.
const (
	firstMember    = controllertest.Member
	secondAccount  = "batch@acme-prod.iam.gserviceaccount.com"
	secondMember   = "serviceAccount:" + secondAccount
	secondProvider = "gce://acme-prod/us-central1-a/node-2"
)

// granted is the time of the grant.
var granted = controllertest.Start

func after(d time.Duration) *metav1.Time { return &metav1.Time{Time: granted.Add(d)} }

// env is an environment with the reconciler, two nodes and namespace shop. Its cache holds
// only pending pods, as in production.
type env struct {
	*controllertest.Env
	r *Reconciler
}

func newEnv(t *testing.T, objects ...client.Object) *env {
	t.Helper()
	e := &env{Env: controllertest.New(t, append(objects,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: controllertest.Namespace, Labels: map[string]string{"env": "prod"}}},
		controllertest.Node("node-1", controllertest.ProviderID), controllertest.Node("node-2", secondProvider),
	)...)}
	e.Index(&corev1.Pod{}, byFailingRepository, func(object client.Object) []string {
		if pod, ok := object.(*corev1.Pod); !ok || pod.Status.Phase != corev1.PodPending {
			return nil
		}
		return indexFailing(object)
	})
	e.Index(&v1alpha1.PullAccessGrant{}, byWorkload, indexWorkloads)
	e.Index(&v1alpha1.PullAccessGrant{}, byGrantedRepository, indexGranted)
	e.Cloud.Accounts[controllertest.ProviderID] = controllertest.NodeAccount(controllertest.Account)
	e.Cloud.Accounts[secondProvider] = controllertest.NodeAccount(secondAccount)
	e.newProcess()
	return e
}

// newProcess replaces the reconciler by one that remembers nothing.
func (e *env) newProcess() {
	e.r = New(Reconciler{
		Client: e.Client, Live: e.Client, Pods: e.Lister, Pullers: e.Cloud, Recorder: e.Recorder, Clock: e.Clock,
		Owners: workload.NewOwners(e.Client), Nodes: workload.NewNodes(e.Client), Policies: outcome.NewPolicies(),
	})
}

// pass reconciles the grant of the member once and checks what every pass must leave.
func (e *env) pass(member string) (reconcile.Result, error) {
	e.Helper()
	before := e.grant(member)
	result, err := e.r.Reconcile(e.Context(), before.DeepCopy())
	if err != nil && result != (reconcile.Result{}) {
		e.Errorf("a result %+v stands beside the error %v", result, err)
	}
	if after := e.grant(member); !equality.Semantic.DeepEqual(before.Status.Review, after.Status.Review) {
		e.Errorf("the review was %+v and is %+v", before.Status.Review, after.Status.Review)
	}
	return result, err
}

// mustPass is a pass that ends without an error.
func (e *env) mustPass(member string) reconcile.Result {
	e.Helper()
	result, err := e.pass(member)
	if err != nil {
		e.Fatalf("Reconcile: %v", err)
	}
	return result
}

// passAt is mustPass for the first member, so long after the grant.
func (e *env) passAt(d time.Duration) reconcile.Result {
	e.Helper()
	e.Clock.SetTime(granted.Add(d))
	return e.mustPass(firstMember)
}

func (e *env) grant(member string) *v1alpha1.PullAccessGrant {
	e.Helper()
	g := e.Grant(controllertest.Grant(member).Name)
	if g == nil {
		e.Fatalf("the grant of %s is gone", member)
	}
	return g
}

// web is the workload of that name on the grant of the member.
func (e *env) web(member string) v1alpha1.WorkloadStatus {
	e.Helper()
	return e.statusOf(member, "web")
}

func (e *env) statusOf(member, name string) v1alpha1.WorkloadStatus {
	e.Helper()
	for _, w := range e.grant(member).Status.Workloads {
		if w.Name == name {
			return w
		}
	}
	e.Fatalf("workload %s is not on the grant of %s", name, member)
	return v1alpha1.WorkloadStatus{}
}

// rollouts counts the patches of workloads that were sent.
func (e *env) rollouts() int { return len(e.Calls.Of("patch")) }

// restartedAt is what the template of the Deployment "web" says.
func (e *env) restartedAt() string {
	e.Helper()
	found := &appsv1.Deployment{}
	if err := e.Server.Get(e.Context(), client.ObjectKey{Namespace: controllertest.Namespace, Name: "web"}, found); err != nil {
		e.Fatal(err)
	}
	return found.Spec.Template.Annotations[workload.RestartedAt]
}

// pods are the names of the pods that there are.
func (e *env) pods() []string {
	e.Helper()
	var list corev1.PodList
	if err := e.Server.List(e.Context(), &list); err != nil {
		e.Fatal(err)
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	return names
}

// replace has other pods take the place of those that there are.
func (e *env) replace(pods ...*corev1.Pod) {
	e.Helper()
	if err := e.Server.DeleteAllOf(e.Context(), &corev1.Pod{}, client.InNamespace(controllertest.Namespace)); err != nil {
		e.Fatal(err)
	}
	for _, pod := range pods {
		e.Create(pod)
	}
}

// joins adds a workload to the grant of the first member, as the pod controller does.
func (e *env) joins(kind, name string) {
	e.Helper()
	g := e.grant(firstMember)
	grantstatus.Join(g, controllertest.Workload(kind, name), "prod", e.Clock.Now())
	e.UpdateStatus(g)
}

// wantEvents compares the Events of that reason: the objects that they are about.
func (e *env) wantEvents(reason string, want ...string) {
	e.Helper()
	var got []string
	for _, event := range e.Recorder.Events() {
		if object, ok := strings.CutPrefix(event, reason+" "); ok {
			got = append(got, object)
		}
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		e.Errorf("Events %s are about %q, want %q", reason, got, want)
	}
}
