// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	// siteLabel marks the namespaces of the tests.
	siteLabel = "e2e"
	// restartedAt is the annotation of a restart, as kubectl sets it.
	restartedAt = "kubectl.kubernetes.io/restartedAt"
	readerRole  = "roles/artifactregistry.reader"
)

// site is what one case has to itself: a namespace, a repository, and an image in it. The policy is named like the namespace.
type site struct {
	*lab
	namespace  string
	repository imageref.Repository
	account    string
	image      string
	// secret is a pull secret of the pods, nil if they have none.
	secret *corev1.Secret
}

// site makes namespace, repository and image; project holds the repository.
func (l *lab) site(t *testing.T, namespace, project string) *site {
	t.Helper()
	s := &site{
		lab:        l,
		namespace:  namespace,
		repository: imageref.Repository{Project: project, Location: location, Name: namespace},
		account:    nodeAccount,
	}
	s.image = location + "-docker.pkg.dev/" + project + "/" + namespace + "/app:1"
	l.cloud.AddRepository(gcpemulator.Repository{Project: project, Location: location, Name: namespace})
	l.push(t, s.image)
	eventually(t, "namespace "+namespace+" is made", func(ctx context.Context) (bool, any) {
		err := shared.client.Create(ctx, &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{siteLabel: ""}},
		})
		return err == nil, err // That of an earlier run may still be going.
	})
	eventually(t, "namespace "+namespace+" has its service account", func(ctx context.Context) (bool, any) {
		err := shared.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "default"}, &corev1.ServiceAccount{})
		return err == nil, err
	})
	return s
}

func (s *site) resource() string { return s.repository.ResourceName() }
func (s *site) member() string   { return "serviceAccount:" + s.account }

// policy is one that allows the operator all that the site needs, and to restart at once.
func (s *site) policy() *v1alpha1.PullAccessPolicy {
	return &v1alpha1.PullAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Spec: v1alpha1.PullAccessPolicySpec{
			Mode:              v1alpha1.ModeEnforce,
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}},
			Repositories: []v1alpha1.RepositoryPattern{
				{Project: s.repository.Project, Location: s.repository.Location, Name: s.repository.Name},
			},
			NodeServiceAccounts: []string{s.account},
			Restart:             v1alpha1.RestartSpec{Delay: &metav1.Duration{}},
		},
	}
}

// deployment is one of the site's image on the named node.
func (s *site) deployment(node string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: s.namespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "app"}},
			Template: s.template(node),
		},
	}
}

func (s *site) template(node string) corev1.PodTemplateSpec {
	var secrets []corev1.LocalObjectReference
	if s.secret != nil {
		secrets = []corev1.LocalObjectReference{{Name: s.secret.Name}}
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "app"}},
		Spec: corev1.PodSpec{
			NodeSelector:                  map[string]string{corev1.LabelHostname: node},
			TerminationGracePeriodSeconds: ptr.To[int64](0),
			Containers:                    []corev1.Container{{Name: "app", Image: s.image}},
			ImagePullSecrets:              secrets,
		},
	}
}

// grant waits until the site's grant is as wished, and returns it.
func (s *site) grant(t *testing.T, what string, wish func(*v1alpha1.PullAccessGrant) bool) *v1alpha1.PullAccessGrant {
	t.Helper()
	grant := &v1alpha1.PullAccessGrant{}
	eventually(t, "the grant of "+s.namespace+" "+what, func(ctx context.Context) (bool, any) {
		err := shared.client.Get(ctx, client.ObjectKey{Name: decision.GrantName(s.repository, s.member())}, grant)
		return err == nil && wish(grant), []any{err, grant.Status}
	})
	return grant
}

// readers are the members of the repository's one reader binding, each as often as it is there.
func (s *site) readers(t *testing.T) []string {
	t.Helper()
	var members []string
	for _, binding := range s.cloud.Policy(s.resource()).GetBindings() {
		if binding.GetRole() != readerRole {
			t.Errorf("the policy holds a binding of %s", binding.GetRole())
		}
		members = append(members, binding.GetMembers()...)
	}
	return members
}

// allow lets members read the repository, as somebody else than the operator does.
func (s *site) allow(members ...string) {
	s.cloud.SetPolicy(s.resource(), &iampb.Policy{Bindings: []*iampb.Binding{{Role: readerRole, Members: members}}})
}

// wantRestarts wants the pod templates of the namespace's workloads to have been changed so often.
func (s *site) wantRestarts(t *testing.T, want int) {
	t.Helper()
	if got := s.restarts(t); len(got) != want {
		t.Errorf("%s was restarted at %v, want %d restarts", s.namespace, got, want)
	}
}

// restarts are the times at which the pod templates of the namespace's workloads were changed. Each change leaves a
// ReplicaSet or a ControllerRevision, which names the time of its restart; the last may still be in the workload alone.
func (s *site) restarts(t *testing.T) []string {
	t.Helper()
	times := map[string]bool{}
	var (
		deployments appsv1.DeploymentList
		stateful    appsv1.StatefulSetList
		daemons     appsv1.DaemonSetList
		sets        appsv1.ReplicaSetList
		revisions   appsv1.ControllerRevisionList
	)
	for _, list := range []client.ObjectList{&deployments, &stateful, &daemons, &sets, &revisions} {
		if err := shared.client.List(t.Context(), list, client.InNamespace(s.namespace)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range deployments.Items {
		times[deployments.Items[i].Spec.Template.Annotations[restartedAt]] = true
	}
	for i := range stateful.Items {
		times[stateful.Items[i].Spec.Template.Annotations[restartedAt]] = true
	}
	for i := range daemons.Items {
		times[daemons.Items[i].Spec.Template.Annotations[restartedAt]] = true
	}
	for i := range sets.Items {
		times[sets.Items[i].Spec.Template.Annotations[restartedAt]] = true
	}
	for i := range revisions.Items {
		var data struct {
			Spec struct{ Template corev1.PodTemplateSpec }
		}
		if err := json.Unmarshal(revisions.Items[i].Data.Raw, &data); err != nil {
			t.Fatal(err)
		}
		times[data.Spec.Template.Annotations[restartedAt]] = true
	}
	delete(times, "") // What was there before.
	return slices.Sorted(maps.Keys(times))
}

// running waits until all pods of the site run, as many as wished.
func (s *site) running(t *testing.T, pods int) {
	t.Helper()
	eventually(t, "the pods of "+s.namespace+" run", func(ctx context.Context) (bool, any) {
		var list corev1.PodList
		if err := shared.client.List(ctx, &list, client.InNamespace(s.namespace)); err != nil {
			return false, err
		}
		ready := 0
		for i := range list.Items {
			if isReady(&list.Items[i]) {
				ready++
			}
		}
		return ready == pods && len(list.Items) == pods, list.Items
	})
}

func isReady(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func delay(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
