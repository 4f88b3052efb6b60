// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

var podLabels = map[string]string{"app": "web"}

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

// grantedAt is a grant that a pull has used since then.
func grantedAt(effective *metav1.Time) *v1alpha1.PullAccessGrant {
	return controllertest.Grant(controllertest.Member, func(g *v1alpha1.PullAccessGrant) {
		g.Status.GrantedTime, g.Status.EffectiveTime = after(0), effective
	})
}

// stuckAt is a pod that was made so long after the grant and cannot pull.
func stuckAt(d time.Duration) []*corev1.Pod {
	return []*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "web-1", CreationTimestamp: *after(d)}}}
}

// limited is a policy that allows so many restarts in an hour, 0 for the default.
func limited(name string, perHour int32) *v1alpha1.PullAccessPolicy {
	return controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) {
		p.Name, p.Spec.Limits.MaxRestartsPerHour = name, perHour
	})
}

// due is what is observed of a workload that is to be restarted now.
func due() view {
	return view{stuck: stuckAt(-time.Minute), covered: true, spec: restartSpec{strategy: v1alpha1.RestartRollout, maxAttempts: 3}}
}

// allDue is a grant with so many workloads under policy "prod" that are due.
func allDue(workloads int) (*v1alpha1.PullAccessGrant, map[int]view) {
	grant, views := grantedAt(nil), map[int]view{}
	for i := range workloads {
		grant.Status.Workloads = append(grant.Status.Workloads, controllertest.Waiting(workload.Deployment, fmt.Sprint(i)))
		views[i] = due()
	}
	return grant, views
}
