// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/pulltext"
	"github.com/pull-access/pull-access-operator/internal/decision"
)

// paperNode makes a node without a kubelet: the test writes what one would.
func (l *lab) paperNode(t *testing.T, name string) {
	t.Helper()
	_, providerID := l.machine(t, node{name: name})
	object := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Spec:       corev1.NodeSpec{ProviderID: providerID},
	}
	create(t, object)
	t.Cleanup(func() {
		if err := shared.client.Delete(context.WithoutCancel(t.Context()), object); err != nil {
			t.Error(err)
		}
	})
	plenty := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("100")}
	eventually(t, "node "+name+" is ready", func(ctx context.Context) (bool, any) {
		if err := shared.client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, err
		}
		object.Status = corev1.NodeStatus{Capacity: plenty, Allocatable: plenty, Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
		}}}
		err := shared.client.Status().Update(ctx, object)
		return err == nil, err
	})
}

// kubelet writes the status of the site's one pod that is not pod.
func (s *site) kubelet(t *testing.T, not string, status corev1.PodStatus) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	eventually(t, "the status of the pod of "+s.namespace+" is written", func(ctx context.Context) (bool, any) {
		var pods corev1.PodList
		if err := shared.client.List(ctx, &pods, client.InNamespace(s.namespace)); err != nil {
			return false, err
		}
		for i := range pods.Items {
			if p := &pods.Items[i]; p.Name != not && p.Spec.NodeName != "" && p.DeletionTimestamp == nil {
				p.Status = status
				err := shared.client.Status().Update(ctx, p)
				*pod = *p
				return err == nil, err
			}
		}
		return false, pods.Items
	})
	return pod
}

// kubeletEvent is a warning of a kubelet about the pod.
func kubeletEvent(pod *corev1.Pod, reason, path, message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: pod.Namespace, GenerateName: pod.Name + "."},
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, FieldPath: path},
		Reason:         reason, Message: message, Type: corev1.EventTypeWarning, Source: corev1.EventSource{Component: "kubelet"},
		FirstTimestamp: metav1.Now(), LastTimestamp: metav1.Now(), Count: 1,
	}
}

func runningSince(at time.Time) corev1.PodStatus {
	since := metav1.NewTime(at)
	return corev1.PodStatus{
		Phase:      corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: since}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: since}},
		}},
	}
}

// TestHearsOfRunningPods: a container that once ran and cannot be pulled again leaves its pod Running; an Event tells of it.
func TestHearsOfRunningPods(t *testing.T) {
	l := newLab(t)
	l.paperNode(t, "paper")
	l.operator(t)
	s := l.site(t, "pulled-again", nodeProject)
	deployment := s.deployment("paper", 1)
	deployment.Spec.Template.Spec.Containers[0].ImagePullPolicy = corev1.PullAlways
	deployment.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	create(t, s.policy(), deployment)
	status := runningSince(time.Now().Add(-time.Hour))
	status.ContainerStatuses[0] = corev1.ContainerStatus{
		Name: "app", RestartCount: 1,
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: pulltext.Refused(s.image)}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(time.Now().Add(-time.Hour))}},
	}
	pod := s.kubelet(t, "", status)
	eventually(t, "a grant is asked for once the kubelet has said so again", func(ctx context.Context) (bool, any) {
		err := shared.client.Create(ctx, kubeletEvent(pod, "Failed", "spec.containers{app}", `Failed to pull image "`+s.image+`": `+pulltext.Refused(s.image)))
		if err != nil {
			return false, err
		}
		err = shared.client.Get(ctx, client.ObjectKey{Name: decision.GrantName(s.repository, s.member())}, &v1alpha1.PullAccessGrant{})
		return err == nil, err
	})
	event(t, s.namespace, "Pod", pod.Name, "AccessRequested")
	s.grant(t, "restarts its workload", func(g *v1alpha1.PullAccessGrant) bool {
		return len(g.Status.Workloads) == 1 && g.Status.Workloads[0].Attempts == 1
	})
	eventually(t, "the old pod is gone", func(ctx context.Context) (bool, any) {
		err := shared.client.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		return apierrors.IsNotFound(err), err
	})
	s.kubelet(t, pod.Name, runningSince(time.Now()))
	s.grant(t, "is Ready", healed)
	s.wantRestarts(t, 1)
}

// TestHearsOfSandboxes: the image of a sandbox shows in no status, and nothing is granted for it.
func TestHearsOfSandboxes(t *testing.T) {
	l := newLab(t)
	l.paperNode(t, "paper")
	l.operator(t)
	s := l.site(t, "sandbox", nodeProject)
	create(t, s.policy(), s.deployment("paper", 1))
	pod := s.kubelet(t, "", corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}},
	}}})
	eventually(t, "the sandbox is spoken of once the kubelet has said so again", func(ctx context.Context) (bool, any) {
		err := shared.client.Create(ctx, kubeletEvent(pod, "FailedCreatePodSandBox", "",
			`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox "1": failed to get sandbox image "`+s.image+`": `+pulltext.Refused(s.image)))
		return len(operatorEvents(ctx, s.namespace)) > 0, err
	})
	told := event(t, s.namespace, "Pod", pod.Name, "SandboxImage")
	if told.Type != corev1.EventTypeWarning {
		t.Errorf("the event is %s, want Warning", told.Type)
	}
	if got := s.readers(t); len(got) != 0 {
		t.Errorf("readers %v, want none", got)
	}
}
