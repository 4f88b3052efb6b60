// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"cmp"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// refusalCase is a failure that the operator must leave alone.
type refusalCase struct {
	// node is the name of the pod's node, "quick" if empty.
	node string
	// project holds the repository, sharedProject if empty.
	project string
	// change makes the site differ from one that would be healed; policy and deployment are created after it.
	change func(t *testing.T, s *site, policy *v1alpha1.PullAccessPolicy, deployment *appsv1.Deployment)
	// reason is that of the event on the pod, words are what its sentence must say.
	reason string
	words  []string
}

// defaultAccount is the account that Compute Engine gives the VMs that were given none.
const defaultAccount = "417-compute@developer.gserviceaccount.com"

// refusalNodes are the nodes of the cases, besides the usual one.
var refusalNodes = []node{
	{name: "quick", backoff: quick},
	{name: "anonymous", backoff: quick, anonymous: true},
	{name: "default", backoff: quick, account: defaultAccount},
	{name: "bare", backoff: quick, bare: true},
	{name: "nameless", backoff: quick, providerID: ptr.To("")},
	{name: "foreign", backoff: quick, providerID: ptr.To("aws:///us-east-1a/i-0123456789abcdef0")},
}

var refusalCases = map[string]refusalCase{
	"missing-manifest": {
		change: func(_ *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
			s.decree(0, func() { s.allow(s.member()) })
			d.Spec.Template.Spec.Containers[0].Image = strings.TrimSuffix(s.image, "1") + "2"
		},
		reason: "ImageNotFound", words: []string{"does not exist", "correct the image or push it"},
	},
	"anonymous-pull": {node: "anonymous", reason: "Unauthenticated", words: []string{"without a valid credential", "credential provider"}},
	"other-repository": {
		change: func(_ *testing.T, _ *site, p *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
			p.Spec.Repositories[0].Name = "another"
		},
		reason: "RepositoryNotListed", words: []string{"Policy other-repository", "does not list repository", "(spec.repositories)"},
	},
	"other-account": {
		change: func(_ *testing.T, _ *site, p *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
			p.Spec.NodeServiceAccounts = []string{"another@" + nodeProject + ".iam.gserviceaccount.com"}
		},
		reason: "ServiceAccountNotListed", words: []string{"does not list service account " + nodeAccount, "(spec.nodeServiceAccounts)"},
	},
	"other-namespace": {
		change: func(_ *testing.T, _ *site, p *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
			p.Spec.NamespaceSelector.MatchLabels = map[string]string{corev1.LabelMetadataName: "another"}
		},
		reason: "NamespaceNotSelected", words: []string{"does not select namespace other-namespace", "(spec.namespaceSelector)"},
	},
	"other-pod": {
		change: func(_ *testing.T, _ *site, p *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
			p.Spec.PodSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "another"}}
		},
		reason: "PodNotSelected", words: []string{"does not select the pod", "(spec.podSelector)"},
	},
	"dry-run": {
		change: func(_ *testing.T, _ *site, p *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
			p.Spec.Mode = v1alpha1.ModeDryRun
		},
		reason: "DryRun", words: []string{"Would grant service account " + nodeAccount, "policy dry-run is in mode DryRun"},
	},
	"access-there": {
		change: func(_ *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
			// The API shows the policy, and what judges pulls does not know it yet.
			s.decree(time.Hour, func() { s.allow(s.member()) })
		},
		reason: "AlreadyGranted", words: []string{"may already read repository", "a grant cannot help", "VPC Service Controls"},
	},
	"custom-role-unread": {
		change: func(t *testing.T, s *site, p *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
			t.Helper()
			s.cloud.AddRole(pullerRole, "artifactregistry.repositories.downloadArtifacts")
			s.cloud.InjectFault(gcpemulator.Fault{
				Method: "roles.get", Match: pullerRole, HTTPStatus: http.StatusForbidden, Message: "You don't have permission to get the role at " + pullerRole + ".",
			})
			bound(pullerRole, s.member())(t, s, p, d)
		},
		reason: "AccessUnreadable", words: []string{"iam.roles.get"},
	},
	"virtual": {
		change: func(_ *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
			s.cloud.AddRepository(gcpemulator.Repository{
				Project: s.repository.Project, Location: location, Name: s.repository.Name, Mode: "VIRTUAL_REPOSITORY",
			})
		},
		reason: "VirtualRepository", words: []string{"is virtual", "opens all its upstream repositories", "(spec.virtualRepositories)"},
	},
	"other-registry": {
		change: func(_ *testing.T, _ *site, _ *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Image = "registry.example.com/acme/tool:1"
		},
		reason: "Unauthenticated", words: []string{"registry.example.com/acme/tool:1", "pull secret"},
	},
	"default-account": {
		node: "default",
		change: func(_ *testing.T, _ *site, p *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
			p.Spec.NodeServiceAccounts = []string{defaultAccount}
		},
		reason: "ComputeDefaultServiceAccount", words: []string{"give the nodes an account of their own", "(spec.computeDefaultServiceAccount)"},
	},
	"no-reference": {
		change: func(_ *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Image = strings.TrimSuffix(s.image, "1") + "${TAG}"
		},
		reason: "InvalidReference", words: []string{"${TAG}", "is no valid image reference"},
	},
	"no-provider-id":      {node: "nameless", reason: "PullerUnknown", words: []string{"the node has no provider ID"}},
	"foreign-provider-id": {node: "foreign", reason: "PullerUnknown", words: []string{"aws:///us-east-1a/i-0123456789abcdef0", "names no Compute Engine instance"}},
	"no-service-account":  {node: "bare", reason: "NoServiceAccount", words: []string{"Node bare has no service account", "create a node pool"}},
	"pull-secret": {
		change: func(_ *testing.T, _ *site, _ *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
			d.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
		},
		reason: "PullSecretUsed", words: []string{"The pod has pull secrets"},
	},
	"federated": {
		change: func(t *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
			t.Helper()
			create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
				Name: "federated", Namespace: s.namespace, Annotations: map[string]string{"iam.gke.io/enable-wi-image-pull": "true"},
			}})
			d.Spec.Template.Spec.ServiceAccountName = "federated"
		},
		reason: "FederatedPuller", words: []string{"Workload Identity Federation", "grant that identity"},
	},
	"missing-repository": {
		change: func(_ *testing.T, _ *site, p *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
			p.Spec.Repositories[0].Name = "none"
			d.Spec.Template.Spec.Containers[0].Image = location + "-docker.pkg.dev/" + sharedProject + "/none/app:1"
		},
		reason: "RepositoryNotFound", words: []string{sharedProject + "/us-central1/none", "does not exist"},
	},
}

// TestLeavesAlone has every failure that a grant would not cure, or that no policy allows to cure: nothing is written in the
// cloud, no workload is touched, and the pod's event says why. All have a policy that would allow it but for the one thing.
func TestLeavesAlone(t *testing.T) {
	l := newLab(t)
	for _, n := range refusalNodes {
		l.start(t, n)
	}
	l.operator(t)
	t.Run("cases", func(t *testing.T) {
		for name, tc := range refusalCases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				leavesAlone(t, l, name, tc)
			})
		}
	})
	l.untouched(t)
}

// untouched wants nothing written in the cloud, and nothing on record. Each failure was judged by now: what was decided on one
// would have been written since.
func (l *lab) untouched(t *testing.T) {
	t.Helper()
	for _, r := range l.cloud.Requests() {
		if r.Method == "SetIamPolicy" {
			t.Errorf("the policy of %s was written", r.Resource)
		}
	}
	var grants v1alpha1.PullAccessGrantList
	if err := shared.client.List(t.Context(), &grants); err != nil {
		t.Fatal(err)
	}
	for i := range grants.Items {
		t.Errorf("grant %s was made", grants.Items[i].Name)
	}
}

func leavesAlone(t *testing.T, l *lab, name string, tc refusalCase) {
	t.Helper()
	if tc.node == "" {
		tc.node = "quick"
	}
	s := l.site(t, name, cmp.Or(tc.project, sharedProject))
	policy, deployment := s.policy(), s.deployment(tc.node, 1)
	if tc.change != nil {
		tc.change(t, s, policy, deployment)
	}
	create(t, policy, deployment)
	got := event(t, name, "Pod", "", tc.reason)
	for _, word := range tc.words {
		if !strings.Contains(got.Note, word) {
			t.Errorf("the event says %q, want it to say %q", got.Note, word)
		}
	}
	sentence, _, _ := strings.Cut(got.Note, " See ")
	if sentence, _, _ = strings.Cut(sentence, " Next: "); !strings.HasSuffix(sentence, ".") {
		t.Errorf("the event says %q, which is no sentence", sentence)
	}
	if got.Type != corev1.EventTypeWarning {
		t.Errorf("the event is %s, want Warning", got.Type)
	}
	var now appsv1.Deployment
	if err := shared.client.Get(t.Context(), client.ObjectKeyFromObject(deployment), &now); err != nil {
		t.Fatal(err)
	}
	if now.Generation != deployment.Generation {
		t.Errorf("the Deployment was changed: generation %d, want %d", now.Generation, deployment.Generation)
	}
}
