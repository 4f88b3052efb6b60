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
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// The nodes of the cluster pull as two accounts: node-1 as the member of the first grant,
// node-2 as that of the second.
const (
	firstMember    = controllertest.Member
	secondAccount  = "batch@acme-prod.iam.gserviceaccount.com"
	secondMember   = "serviceAccount:" + secondAccount
	secondProvider = "gce://acme-prod/us-central1-a/node-2"
)

var podLabels = map[string]string{"app": "web"}

// cluster is an environment for whole passes. Its cache holds only pending pods, as in
// production.
type cluster struct {
	*controllertest.Env
	r *Reconciler
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	c := &cluster{Env: controllertest.New(t, append(objects,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: controllertest.Namespace, Labels: map[string]string{"env": "prod"}}},
		controllertest.Node("node-1", controllertest.ProviderID), controllertest.Node("node-2", secondProvider),
	)...)}
	c.Index(&corev1.Pod{}, byFailingRepository, func(object client.Object) []string {
		if pod, ok := object.(*corev1.Pod); !ok || pod.Status.Phase != corev1.PodPending {
			return nil
		}
		return indexFailing(object)
	})
	c.Index(&v1alpha1.PullAccessGrant{}, byWorkload, indexWorkloads)
	c.Index(&v1alpha1.PullAccessGrant{}, byGrantedRepository, indexGranted)
	c.Cloud.Accounts[controllertest.ProviderID] = controllertest.NodeAccount(controllertest.Account)
	c.Cloud.Accounts[secondProvider] = controllertest.NodeAccount(secondAccount)
	c.newProcess()
	return c
}

// newProcess replaces the reconciler by one that remembers nothing.
func (c *cluster) newProcess() {
	c.r = New(Reconciler{
		Client: c.Client, Live: c.Client, Pods: c.Lister, Pullers: c.Cloud, Recorder: c.Recorder, Clock: c.Clock,
		Owners: workload.NewOwners(c.Client), Nodes: workload.NewNodes(c.Client), Ledger: c.Ledger(),
	})
}

// pass reconciles the grant of the member once and checks what every pass must leave.
func (c *cluster) pass(member string) (reconcile.Result, error) {
	c.Helper()
	before := c.grant(member)
	result, err := c.r.Reconcile(c.Context(), before.DeepCopy())
	if err != nil && result != (reconcile.Result{}) {
		c.Errorf("a result %+v stands beside the error %v", result, err)
	}
	if after := c.grant(member); !equality.Semantic.DeepEqual(before.Status.Review, after.Status.Review) {
		c.Errorf("the review was %+v and is %+v", before.Status.Review, after.Status.Review)
	}
	return result, err
}

// mustPass is a pass that ends without an error.
func (c *cluster) mustPass(member string) reconcile.Result {
	c.Helper()
	result, err := c.pass(member)
	if err != nil {
		c.Fatalf("Reconcile: %v", err)
	}
	return result
}

// passAt is mustPass for the first member, so long after the grant.
func (c *cluster) passAt(d time.Duration) reconcile.Result {
	c.Helper()
	c.Clock.SetTime(granted.Add(d))
	return c.mustPass(firstMember)
}

func (c *cluster) grant(member string) *v1alpha1.PullAccessGrant {
	c.Helper()
	g := c.Grant(controllertest.Grant(member).Name)
	if g == nil {
		c.Fatalf("the grant of %s is gone", member)
	}
	return g
}

// web is the workload of that name on the grant of the member.
func (c *cluster) web(member string) v1alpha1.WorkloadStatus {
	c.Helper()
	return c.statusOf(member, "web")
}

func (c *cluster) statusOf(member, name string) v1alpha1.WorkloadStatus {
	c.Helper()
	for _, w := range c.grant(member).Status.Workloads {
		if w.Name == name {
			return w
		}
	}
	c.Fatalf("workload %s is not on the grant of %s", name, member)
	return v1alpha1.WorkloadStatus{}
}

// rollouts counts the patches of workloads that were sent.
func (c *cluster) rollouts() int { return len(c.Calls.Of("patch")) }

// restartedAt is what the template of the Deployment "web" says.
func (c *cluster) restartedAt() string {
	c.Helper()
	found := &appsv1.Deployment{}
	if err := c.Server.Get(c.Context(), client.ObjectKey{Namespace: controllertest.Namespace, Name: "web"}, found); err != nil {
		c.Fatal(err)
	}
	return found.Spec.Template.Annotations[workload.RestartedAt]
}

// pods are the names of the pods that there are.
func (c *cluster) pods() []string {
	c.Helper()
	var list corev1.PodList
	if err := c.Server.List(c.Context(), &list); err != nil {
		c.Fatal(err)
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	return names
}

// replace has other pods take the place of those that there are.
func (c *cluster) replace(pods ...*corev1.Pod) {
	c.Helper()
	if err := c.Server.DeleteAllOf(c.Context(), &corev1.Pod{}, client.InNamespace(controllertest.Namespace)); err != nil {
		c.Fatal(err)
	}
	for _, pod := range pods {
		c.Create(pod)
	}
}

// joins adds a workload to the grant of the first member, as the pod controller does.
func (c *cluster) joins(kind, name string) {
	c.Helper()
	g := c.grant(firstMember)
	grantstatus.Join(g, controllertest.Workload(kind, name), "prod", c.Clock.Now())
	c.UpdateStatus(g)
}

// wantEvents compares the Events of that reason: the objects that they are about.
func (c *cluster) wantEvents(reason string, want ...string) {
	c.Helper()
	var got []string
	for _, event := range c.Recorder.Events() {
		if object, ok := strings.CutPrefix(event, reason+" "); ok {
			got = append(got, object)
		}
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		c.Errorf("Events %s are about %q, want %q", reason, got, want)
	}
}

// conditionOf is "STATUS REASON" of the condition, "" without it.
func conditionOf(g *v1alpha1.PullAccessGrant, name string) string {
	found := meta.FindStatusCondition(g.Status.Conditions, name)
	if found == nil {
		return ""
	}
	return string(found.Status) + " " + found.Reason
}

// carriedOut is the grant of the member, written at the time of the grant, for which the
// workloads have waited since a minute before.
func carriedOut(member string, workloads ...v1alpha1.WorkloadStatus) *v1alpha1.PullAccessGrant {
	return controllertest.Grant(member, func(g *v1alpha1.PullAccessGrant) {
		g.CreationTimestamp, g.Finalizers = *after(-2 * time.Minute), []string{v1alpha1.Finalizer}
		grantstatus.Intend(g, true, "etag-before", granted)
		grantstatus.Grant(g, v1alpha1.OriginAdded, "etag-after", granted)
		for i := range workloads {
			workloads[i].FailingSince = after(-time.Minute)
		}
		g.Status.Workloads = workloads
		grantstatus.Summarise(g)
	})
}

// waitingWeb is the grant of the first member, for which the Deployment "web" waits.
func waitingWeb() *v1alpha1.PullAccessGrant {
	return carriedOut(firstMember, controllertest.Waiting(workload.Deployment, "web"))
}

// workloadOf is the workload of the kind, which selects podLabels, and the reference by
// which its pods name their owner.
func workloadOf(kind, name string) ([]client.Object, metav1.OwnerReference) {
	selector, template := &metav1.LabelSelector{MatchLabels: podLabels}, controllertest.Template(image)
	switch kind {
	case workload.StatefulSet:
		set := &appsv1.StatefulSet{ObjectMeta: controllertest.Meta(name), Spec: appsv1.StatefulSetSpec{Selector: selector, Template: template}}
		return []client.Object{set}, controllertest.ControlledBy("apps/v1", kind, name)
	case workload.DaemonSet:
		set := &appsv1.DaemonSet{ObjectMeta: controllertest.Meta(name), Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}}
		return []client.Object{set}, controllertest.ControlledBy("apps/v1", kind, name)
	default:
		deployment := controllertest.Deployment(name, image, func(d *appsv1.Deployment) { d.Spec.Selector = selector })
		set := controllertest.ReplicaSet(name+"-rs", image, controllertest.ControlledBy("apps/v1", workload.Deployment, name))
		return []client.Object{deployment, set}, controllertest.ControlledBy("apps/v1", workload.ReplicaSet, name+"-rs")
	}
}

// webWith is the Deployment "web" with the pods.
func webWith(pods ...*corev1.Pod) []client.Object {
	objects, _ := workloadOf(workload.Deployment, "web")
	for _, pod := range pods {
		objects = append(objects, ofWeb(pod))
	}
	return objects
}

// ofWeb has the pod be one of the Deployment "web".
func ofWeb(pod *corev1.Pod) *corev1.Pod {
	_, owner := workloadOf(workload.Deployment, "web")
	pod.OwnerReferences = []metav1.OwnerReference{owner}
	return pod
}

// stuckPod is a pod on the node that was made so long after the grant and is denied its image.
func stuckPod(node, name string, made time.Duration) *corev1.Pod {
	return controllertest.Pod(node, name, image, controllertest.Failing("ErrImagePull", controllertest.Denial(image)), func(pod *corev1.Pod) {
		pod.Labels, pod.CreationTimestamp, pod.Status.Phase = podLabels, *after(made), corev1.PodPending
	})
}

// runningPod is a pod on the node that was made and has started so long after the grant.
func runningPod(node, name string, made, started time.Duration) *corev1.Pod {
	return controllertest.Pod(node, name, image, controllertest.Started(granted.Add(started)), func(pod *corev1.Pod) {
		pod.Labels, pod.CreationTimestamp, pod.Status.Phase = podLabels, *after(made), corev1.PodRunning
	})
}

// endedWith has a grant end for the reason.
func endedWith(reason v1alpha1.EndReason) func(*v1alpha1.PullAccessGrant) {
	return func(g *v1alpha1.PullAccessGrant) { grantstatus.End(g, reason, granted) }
}
