// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// gkeCluster is the cluster that the nodes are said to be of.
const gkeCluster = "projects/" + nodeProject + "/locations/" + location + "/clusters/main"

// diagnosisNodes are the nodes of the cases, besides the usual one. Each is of the node pool of its name.
var diagnosisNodes = []node{
	{name: "quick", backoff: quick},
	{name: "scopeless", backoff: quick, scopes: []string{"logging.write"}},
	{name: "hidden-default", backoff: quick, account: defaultAccount, hidden: true},
	{name: "hidden-unlisted", backoff: quick, hidden: true},
}

// addPools makes the cluster that GKE knows. The pool of hidden-unlisted is none of it.
func (l *lab) addPools() {
	l.cloud.AddCluster(gcpemulator.Cluster{
		Project: nodeProject, Location: location, Name: "main",
		NodePools: []gcpemulator.NodePool{
			{Name: "quick", ServiceAccount: nodeAccount},
			{Name: "scopeless", ServiceAccount: nodeAccount, Scopes: []string{"logging.write"}},
			{Name: "hidden", ServiceAccount: nodeAccount},
			{Name: "hidden-default", ServiceAccount: "default"},
		},
	})
}

// decree sets policies that the API shows and the registry judges by after delay.
func (l *lab) decree(delay time.Duration, set func()) {
	l.decrees.Lock()
	defer l.decrees.Unlock()
	l.cloud.SetPropagationDelay(delay)
	set()
}

type siteChange = func(*testing.T, *site, *v1alpha1.PullAccessPolicy, *appsv1.Deployment)

// pullable lets the node read the repository, and has the pods ask for another image.
func pullable(image func(*site) string) siteChange {
	return func(_ *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
		s.decree(0, func() { s.allow(s.member()) })
		d.Spec.Template.Spec.Containers[0].Image = image(s)
	}
}

// bound has role bound to member on the repository, unknown to the registry as yet.
func bound(role, member string) siteChange {
	return func(_ *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
		s.decree(time.Hour, func() {
			s.cloud.SetPolicy(s.resource(), &iampb.Policy{Bindings: []*iampb.Binding{{Role: role, Members: []string{member}}}})
		})
	}
}

func kept(format, mode string) siteChange {
	return func(_ *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
		s.cloud.AddRepository(gcpemulator.Repository{
			Project: s.repository.Project, Location: location, Name: s.repository.Name, Format: format, Mode: mode,
		})
	}
}

func blocked(number int64, why gcpemulator.Blockage) siteChange {
	return func(_ *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
		s.cloud.AddProject(s.repository.Project, number) // By which Google names it.
		s.cloud.Block(s.repository.Project, why)
	}
}

func pulling(image string) siteChange {
	return func(_ *testing.T, _ *site, _ *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Image = image
	}
}

// pullerRole is a custom role that holds the one permission.
const pullerRole = "projects/" + sharedProject + "/roles/puller"

var diagnosisCases = map[string]refusalCase{
	"missing-tag": {
		change: pullable(func(s *site) string { return strings.TrimSuffix(s.image, "1") + "2" }),
		reason: "ImageNotFound", words: []string{"nearest tags: 1)", "gcloud artifacts tags list --package=app --repository=missing-tag"},
	},
	"missing-image": {
		change: pullable(func(s *site) string { return strings.Replace(s.image, "/app:", "/apps:", 1) }),
		reason: "ImageNotFound", words: []string{"holds no image apps (nearest images: app)", "gcloud artifacts packages list"},
	},
	"missing-digest": {
		change: pullable(func(s *site) string {
			return strings.TrimSuffix(s.image, ":1") + "@sha256:" + strings.Repeat("0", 64)
		}),
		reason: "ImageNotFound", words: []string{"under other tags or digests"},
	},
	"not-docker":   {change: kept("MAVEN", ""), reason: "RepositoryNotDocker", words: []string{`format "MAVEN"`}},
	"unknown-mode": {change: kept("", "CONNECTOR_REPOSITORY"), reason: "RepositoryModeUnknown", words: []string{"does not know"}},
	"scopes": {
		node: "scopeless", reason: "ScopesMissing",
		words: []string{"Node scopeless lacks the OAuth scope", "gcloud container node-pools create scopeless-scoped --cluster=main --location=us-central1"},
	},
	"gke-default": {
		node: "hidden-default", reason: "ServiceAccountNotListed",
		words: []string{"Service account " + defaultAccount + " of node hidden-default"},
	},
	"gke-unlisted": {node: "hidden-unlisted", reason: "PullerUnknown", words: []string{"compute.instances.get", "hidden-unlisted"}},
	"project-role": {
		project: "acme-project-role",
		change: func(_ *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
			s.decree(time.Hour, func() {
				s.cloud.SetProjectPolicy("acme-project-role", &iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/editor", Members: []string{s.member()}}}})
			})
		},
		reason: "AlreadyGranted", words: []string{"by roles/editor on project acme-project-role", "gcloud policy-intelligence troubleshoot-policy"},
	},
	"custom-role": {change: bound(pullerRole, "serviceAccount:"+nodeAccount), reason: "AlreadyGranted", words: []string{"by " + pullerRole}},
	"account-anew": {
		change: func(t *testing.T, s *site, p *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
			t.Helper()
			bound(readerRole, "deleted:serviceAccount:"+nodeAccount+"?uid=123")(t, s, p, d)
			p.Spec.Repositories[0].Name = "another"
		},
		reason: "RepositoryNotListed", words: []string{"the account of that name that had it was deleted"},
	},
	"denied-above": {
		project: "acme-denied-above",
		change: func(_ *testing.T, s *site, _ *v1alpha1.PullAccessPolicy, _ *appsv1.Deployment) {
			s.cloud.SetDenyPolicy("acme-denied-above", gcpemulator.DenyPolicy{
				Name:              "no-pulls",
				DeniedPrincipals:  []string{"principal://iam.googleapis.com/projects/-/serviceAccounts/" + nodeAccount},
				DeniedPermissions: []string{"artifactregistry.googleapis.com/repositories.downloadArtifacts"},
			})
		},
		reason: "DeniedByPolicy", words: []string{"deny policy refuses service account " + nodeAccount},
	},
	"api-off":     {project: "acme-api-off", change: blocked(501, gcpemulator.APIDisabled), reason: "APIDisabled", words: []string{"not enabled", "gcloud services enable artifactregistry.googleapis.com --project=acme-api-off"}},
	"billing-off": {project: "acme-billing-off", change: blocked(502, gcpemulator.BillingDisabled), reason: "APIDisabled", words: []string{"billing is off", "gcloud billing projects describe"}},
	"perimeter":   {project: "acme-perimeter", change: blocked(503, gcpemulator.Perimeter), reason: "VPCServiceControls", words: []string{"perimeter", "an administrator of the perimeter"}},
	"secret-with-key": {
		change: func(t *testing.T, s *site, p *v1alpha1.PullAccessPolicy, d *appsv1.Deployment) {
			t.Helper()
			withSecret(location+"-docker.pkg.dev", "_dcgcloud_token", s.cloud.Token("puller@"+sharedProject+".iam.gserviceaccount.com"))(s, p)
			create(t, s.secret)
			d.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: s.secret.Name}}
		},
		reason: "PullSecretUsed", words: []string{"Pull secret registry is tried for image", "before the node's account"},
	},
	"public":     {change: pulling("gcr.io/distroless/nothing:1"), reason: "PublicImage", words: []string{"kept by Google or the Kubernetes community"}},
	"docker-hub": {change: pulling("docker.io/acme/private:1"), reason: "Unauthenticated", words: []string{"Docker Hub shows private images to their owners only", "kubectl --namespace=docker-hub create secret docker-registry"}},
	"github":     {change: pulling("ghcr.io/acme/private:1"), reason: "Unauthenticated", words: []string{"read:packages"}},
}

// TestDiagnoses has one failure for every fact of the cloud that rules a grant out.
func TestDiagnoses(t *testing.T) {
	l := newLab(t)
	l.addPools()
	l.cloud.AddRole(pullerRole, "artifactregistry.repositories.downloadArtifacts")
	for _, n := range diagnosisNodes {
		l.start(t, n)
	}
	l.operator(t, "--gke-cluster="+gkeCluster, "--policy-troubleshooter", "--read-pull-secrets")
	t.Run("cases", func(t *testing.T) {
		for name, tc := range diagnosisCases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				leavesAlone(t, l, name, tc)
			})
		}
	})
	l.untouched(t)
}
