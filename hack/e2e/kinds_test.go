// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// healCase is one more way to the same end.
type healCase struct {
	// node is "slow" if empty, where nothing but a restart helps.
	node string
	// change prepares the site and its policy.
	change func(s *site, policy *v1alpha1.PullAccessPolicy)
	// workload is a Deployment of two pods if nil.
	workload func(s *site, node string) client.Object
	// mode is that of the repository, a standard one if empty.
	mode string
	pods int
	// restarts is how often the workload's template was changed.
	restarts int
}

const sharedProject = "acme-shared-306"

var healCases = map[string]healCase{
	"cross-project": {pods: 2, restarts: 1},
	"container-registry": {
		change: func(s *site, p *v1alpha1.PullAccessPolicy) {
			s.repository = imageref.Repository{Project: sharedProject, Location: "us", Name: "gcr.io"}
			s.image = "gcr.io/" + sharedProject + "/app:1"
			p.Spec.Repositories[0] = v1alpha1.RepositoryPattern{Project: sharedProject, Location: "us", Name: "gcr.io"}
		}, pods: 2, restarts: 1,
	},
	"regional-host": {
		change: func(s *site, _ *v1alpha1.PullAccessPolicy) {
			s.image = "docker." + location + ".rep.pkg.dev/" + sharedProject + "/regional-host/app:1"
		}, pods: 2, restarts: 1,
	},
	"domain-scoped": {
		change: func(s *site, p *v1alpha1.PullAccessPolicy) {
			s.repository.Project = "example.com:web"
			s.image = location + "-docker.pkg.dev/example.com/web/domain-scoped/app:1"
			p.Spec.Repositories[0].Project = "example.com:web"
		}, pods: 2, restarts: 1,
	},
	"remote":       {mode: "REMOTE_REPOSITORY", pods: 2, restarts: 1},
	"gke-api":      {node: "hidden", pods: 2, restarts: 1},
	"group-unread": {change: boundToGroup, pods: 2, restarts: 1},
	"other-secret": {change: withSecret("ghcr.io", "somebody", "secret"), pods: 2, restarts: 1},
	"any-location": {
		change: func(_ *site, p *v1alpha1.PullAccessPolicy) {
			p.Spec.Repositories[0].Location, p.Spec.Repositories[0].Name = "*", "any-*"
			p.Spec.NodeServiceAccounts = []string{"*@" + nodeProject + ".iam.gserviceaccount.com"}
		}, pods: 2, restarts: 1,
	},
	"default-account-allowed": {
		node: "default",
		change: func(s *site, p *v1alpha1.PullAccessPolicy) {
			s.account = defaultAccount
			p.Spec.NodeServiceAccounts = []string{defaultAccount}
			p.Spec.ComputeDefaultServiceAccount = v1alpha1.Allow
		}, pods: 2, restarts: 1,
	},
	"virtual-allowed": {
		mode:   "VIRTUAL_REPOSITORY",
		change: func(_ *site, p *v1alpha1.PullAccessPolicy) { p.Spec.VirtualRepositories = v1alpha1.Allow },
		pods:   2, restarts: 1,
	},
	"stateful-set": {workload: statefulSet, pods: 2, restarts: 1},
	"daemon-set":   {workload: daemonSet, pods: 1, restarts: 1},
	"delete-stuck-pods": {
		change: func(_ *site, p *v1alpha1.PullAccessPolicy) { p.Spec.Restart.Strategy = v1alpha1.RestartDeletePods }, pods: 2,
	},
	"restart-none": {
		node: "quick", change: func(_ *site, p *v1alpha1.PullAccessPolicy) { p.Spec.Restart.Strategy = v1alpha1.RestartNone }, pods: 2,
	},
	"bare-pod": {node: "quick", workload: barePod, pods: 1},
	"before-the-delay": {
		node: "quick", change: func(_ *site, p *v1alpha1.PullAccessPolicy) { p.Spec.Restart.Delay = delay(time.Hour) }, pods: 2,
	},
}

// TestHealsEveryKind has every kind of workload, strategy and repository come back; what comes back by itself is left alone.
func TestHealsEveryKind(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "slow", backoff: slow})
	l.start(t, node{name: "quick", backoff: quick})
	l.start(t, node{name: "default", backoff: slow, account: defaultAccount})
	l.start(t, node{name: "hidden", backoff: slow, hidden: true})
	l.addPools()
	l.operator(t, "--gke-cluster="+gkeCluster, "--read-pull-secrets")
	t.Run("cases", func(t *testing.T) {
		for name, tc := range healCases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				heals(t, l, name, tc)
			})
		}
	})
}

func heals(t *testing.T, l *lab, name string, tc healCase) {
	t.Helper()
	if tc.node == "" {
		tc.node = "slow"
	}
	s := l.site(t, name, sharedProject)
	policy := s.policy()
	if tc.change != nil {
		tc.change(s, policy)
	}
	l.cloud.AddRepository(gcpemulator.Repository{
		Project: s.repository.Project, Location: s.repository.Location, Name: s.repository.Name, Mode: tc.mode,
	})
	l.push(t, s.image)
	var workload client.Object = s.deployment(tc.node, 2)
	if tc.workload != nil {
		workload = tc.workload(s, tc.node)
	}
	if s.secret != nil {
		create(t, s.secret)
	}
	create(t, policy, workload)
	grant := s.grant(t, "is Ready", healed)
	s.running(t, tc.pods)
	s.wantRestarts(t, tc.restarts)
	foreign := func(member string) bool { return member == pullers }
	if got := slices.DeleteFunc(s.readers(t), foreign); len(got) != 1 || got[0] != s.member() {
		t.Errorf("readers %v, want %s once", got, s.member())
	}
	if grant.Status.EffectiveTime == nil || grant.Status.RecoveredWorkloads != 1 {
		t.Errorf("the grant's status is %+v, want it effective and one workload recovered", grant.Status)
	}
}

// pullers is a group.
const pullers = "group:pullers@example.com"

// boundToGroup lets in a group of which nobody knows whether the account is a member.
func boundToGroup(s *site, _ *v1alpha1.PullAccessPolicy) { s.allow(pullers) }

// withSecret gives all pods of the site a pull secret for the registry.
func withSecret(registry, user, password string) func(*site, *v1alpha1.PullAccessPolicy) {
	return func(s *site, _ *v1alpha1.PullAccessPolicy) {
		s.secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "registry"}, Type: corev1.SecretTypeDockerConfigJson,
			StringData: map[string]string{corev1.DockerConfigJsonKey: fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, registry, user, password)},
		}
	}
}

func statefulSet(s *site, node string) client.Object {
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: s.namespace},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](2),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "app"}},
			Template: s.template(node),
		},
	}
}

func daemonSet(s *site, node string) client.Object {
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: s.namespace},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "app"}},
			Template: s.template(node),
		},
	}
}

func barePod(s *site, node string) client.Object {
	template := s.template(node)
	template.Name, template.Namespace = "app", s.namespace
	return &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
}

// TestSlowPropagation has a grant take effect long after the restart: the restarted pods are refused as well, and come up by
// the kubelet's own retries. They are not restarted a second time.
func TestSlowPropagation(t *testing.T) {
	l := newLab(t)
	l.cloud.SetPropagationDelay(5 * time.Second)
	l.start(t, node{name: "quick", backoff: quick})
	l.operator(t)
	s := l.site(t, "propagation", nodeProject)
	create(t, s.policy(), s.deployment("quick", 2))
	grant := s.grant(t, "is Ready", healed)
	s.running(t, 2)
	s.healedOnce(t, grant)
	eventually(t, "the pods that run are those of the restart", func(ctx context.Context) (bool, any) {
		var d appsv1.Deployment
		err := shared.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "app"}, &d)
		return err == nil && d.Status.UpdatedReplicas == 2 && d.Status.AvailableReplicas == 2, d.Status
	})
}
