// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/demand"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

const (
	image   = controllertest.Image
	account = controllertest.Account
	member  = controllertest.Member

	readNode       = "NodeAccount node-1 " + controllertest.ProviderID
	readRepository = "Repository acme-prod/us-central1/services"
	readContent    = "Content " + image
	readAccess     = "Access " + member
	readProject    = "ProjectAccess acme-prod " + member
	readOverall    = "Overall " + member
)

var (
	start      = controllertest.Start
	repository = controllertest.Services
	grantName  = decision.GrantName(repository, member)
)

// env is an environment in which the node's account lacks nothing but access, and a policy
// allows the operator to give it.
type env struct {
	*controllertest.Env
	policy    *v1alpha1.PullAccessPolicy
	namespace *corev1.Namespace
	account   *corev1.ServiceAccount
	grant     *v1alpha1.PullAccessGrant
	pod       *corev1.Pod
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{
		Env: controllertest.New(t), policy: policyOf(), pod: podOf("web", 0),
		namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: controllertest.Namespace, Labels: map[string]string{"env": "prod"}}},
		account:   &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: controllertest.Namespace, Name: "default"}},
	}
	e.setRepository(present())
	e.setAccount(controllertest.NodeAccount(account))
	return e
}

func (e *env) setRepository(r diagnosis.Repository) { e.Cloud.Repositories[repository.Name] = r }
func (e *env) setAccount(p diagnosis.Puller)        { e.Cloud.Accounts[controllertest.ProviderID] = p }

func present() diagnosis.Repository {
	r := controllertest.StandardRepository()
	r.RegistryURI = "us-central1-docker.pkg.dev/acme-prod/services"
	return r
}

func policyOf() *v1alpha1.PullAccessPolicy {
	return controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) {
		p.Spec.NamespaceSelector.MatchLabels = map[string]string{"env": "prod"}
		p.Spec.NodeServiceAccounts = []string{account}
	})
}

// podOf is a pod of a Deployment, by its ReplicaSet.
func podOf(deployment string, i int) *corev1.Pod {
	return controllertest.Pod("node-1", fmt.Sprintf("%s-1-%d", deployment, i), image, func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{controllertest.ControlledBy("apps/v1", "ReplicaSet", deployment+"-1")}
	})
}

func deploymentNamed(name string) v1alpha1.Workload {
	return controllertest.Workload(workload.Deployment, name)
}

// grantOf is the grant that the failure of the environment's pod leads to.
func grantOf(policy string, owner v1alpha1.Workload) *v1alpha1.PullAccessGrant {
	return controllertest.Grant(member, func(g *v1alpha1.PullAccessGrant) {
		g.Finalizers = []string{v1alpha1.Finalizer}
		g.Spec.Policy, g.Spec.Workload = policy, owner
	})
}

// build puts the objects on the API server and returns a reconciler of it.
func (e *env) build() *Reconciler {
	e.Helper()
	objects := []client.Object{e.namespace, e.account, controllertest.Node("node-1", controllertest.ProviderID)}
	for _, deployment := range []string{"web", "api"} {
		owner := controllertest.ControlledBy("apps/v1", "Deployment", deployment)
		objects = append(objects, controllertest.ReplicaSet(deployment+"-1", image, owner))
	}
	if e.policy != nil {
		objects = append(objects, e.policy)
	}
	if e.grant != nil {
		objects = append(objects, e.grant)
	}
	e.Load(objects...)
	observer := facts.New(facts.Observer{
		Client: e.Client, Live: e.Client, Cloud: e.Cloud, Nodes: workload.NewNodes(e.Client), Clock: e.Clock,
	})
	return New(Reconciler{Client: e.Client, Observer: observer, Owners: workload.NewOwners(e.Client), Recorder: e.Recorder, Clock: e.Clock, Grants: outcome.NewGrants(), Demand: demand.New(e.Clock)})
}

// fail sets what the kubelet says of the pod's container and reconciles it.
func (e *env) fail(r *Reconciler, reason, message string) (reconcile.Result, error) {
	e.Helper()
	controllertest.Failing(reason, message)(e.pod)
	return r.Reconcile(e.Context(), e.pod)
}

// gets counts the reads of single objects of the kind.
func (e *env) gets(kind string) (n int) {
	for _, target := range e.Calls.Of("get") {
		if strings.HasPrefix(target, kind+" ") {
			n++
		}
	}
	return n
}
