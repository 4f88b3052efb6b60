// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

const (
	image      = "us-central1-docker.pkg.dev/acme-prod/services/checkout:1.8.2"
	account    = "gke-nodes@acme-prod.iam.gserviceaccount.com"
	member     = "serviceAccount:" + account
	providerID = "gce://acme-prod/us-central1-a/node-1"

	readNode       = "node " + providerID
	readRepository = "repository acme-prod/us-central1/services"
	readContent    = "content " + image
	readAccess     = "access " + member
	readProject    = "project acme-prod of " + member
	readOverall    = "overall " + member
)

var (
	start      = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	repository = imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "services"}
	grantName  = decision.GrantName(repository, member)
)

// denial is what containerd says of image when the node's account is refused.
func denial(image string) string {
	return `failed to pull and unpack image "` + image + `": failed to resolve image: failed to authorize: failed to fetch oauth token: ` +
		`unexpected status from GET request to https://us-central1-docker.pkg.dev/v2/token?scope=repository%3Aacme-prod%2Fservices%2Fcheckout%3Apull&service=us-central1-docker.pkg.dev: 403 Forbidden`
}

// fakeCloud answers from its fields and remembers what it was asked.
type fakeCloud struct {
	repository diagnosis.Repository
	access     diagnosis.Access
	puller     diagnosis.Puller
	content    diagnosis.Content

	mu    sync.Mutex
	reads []string
}

func (c *fakeCloud) read(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads = append(c.reads, what)
}

func (c *fakeCloud) Repository(_ context.Context, repository imageref.Repository) diagnosis.Repository {
	c.read("repository " + repository.String())
	return c.repository
}

func (c *fakeCloud) Access(_ context.Context, _ imageref.Repository, member string) diagnosis.Access {
	c.read("access " + member)
	return c.access
}

func (c *fakeCloud) ProjectAccess(_ context.Context, repository imageref.Repository, member string) diagnosis.Access {
	c.read("project " + repository.Project + " of " + member)
	return diagnosis.Access{State: diagnosis.Missing}
}

func (c *fakeCloud) Overall(_ context.Context, _ imageref.Repository, member string) diagnosis.Overall {
	c.read("overall " + member)
	return diagnosis.Overall{}
}

func (c *fakeCloud) Content(_ context.Context, image imageref.Image) diagnosis.Content {
	c.read("content " + image.String())
	return c.content
}

func (c *fakeCloud) NodeAccount(_ context.Context, node diagnosis.Node) diagnosis.Puller {
	c.read("node " + node.ProviderID)
	return c.puller
}

// world is a cluster and a cloud in which the node's account lacks nothing but
// access, and a policy allows the operator to give it.
type world struct {
	cloud     fakeCloud
	policy    *v1alpha1.PullAccessPolicy
	namespace *corev1.Namespace
	account   *corev1.ServiceAccount
	grant     *v1alpha1.PullAccessGrant
	pod       *corev1.Pod
	funcs     interceptor.Funcs

	clock    *clocktesting.FakePassiveClock
	recorder *events.FakeRecorder
	client   client.Client
	// lookups counts the reads of the cluster by type, writes the writes by verb.
	mu      sync.Mutex
	lookups map[string]int
	writes  map[string]int
}

func newWorld() *world {
	return &world{
		cloud: fakeCloud{
			repository: diagnosis.Repository{State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY", RegistryURI: "us-central1-docker.pkg.dev/acme-prod/services"},
			access:     diagnosis.Access{State: diagnosis.Missing},
			puller: diagnosis.Puller{
				State: diagnosis.Present, Email: account, Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"},
			},
		},
		policy: &v1alpha1.PullAccessPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "prod"},
			Spec: v1alpha1.PullAccessPolicySpec{
				Mode:                v1alpha1.ModeEnforce,
				NamespaceSelector:   &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}},
				PodSelector:         &metav1.LabelSelector{},
				Repositories:        []v1alpha1.RepositoryPattern{{Project: "acme-prod", Location: "us-central1", Name: "services"}},
				NodeServiceAccounts: []string{account},
			},
		},
		namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"env": "prod"}}},
		account:   &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "default"}},
		pod:       podOf("web", 0),
		clock:     clocktesting.NewFakePassiveClock(start),
		recorder:  events.NewFakeRecorder(1024),
		lookups:   map[string]int{},
		writes:    map[string]int{},
	}
}

// podOf is a pod of a Deployment, by its ReplicaSet.
func podOf(deployment string, i int) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: fmt.Sprintf("%s-1-%d", deployment, i), UID: types.UID(fmt.Sprintf("uid-%s-1-%d", deployment, i)),
			OwnerReferences: []metav1.OwnerReference{controllerOf("ReplicaSet", deployment+"-1")},
		},
		Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "app", Image: image}}},
	}
}

func controllerOf(kind, name string) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "apps/v1", Kind: kind, Name: name, UID: types.UID("uid-" + name), Controller: ptr.To(true)}
}

func deploymentNamed(name string) v1alpha1.Workload {
	return v1alpha1.Workload{Kind: workload.Deployment, Namespace: "shop", Name: name, UID: types.UID("uid-" + name)}
}

// grantOf is the record of the grant that the world's failure leads to.
func grantOf(policy string, owner v1alpha1.Workload) *v1alpha1.PullAccessGrant {
	return &v1alpha1.PullAccessGrant{
		ObjectMeta: metav1.ObjectMeta{Name: grantName, Finalizers: []string{v1alpha1.Finalizer}},
		Spec: v1alpha1.PullAccessGrantSpec{
			Repository: repository.Record(), Member: member, Policy: policy, Workload: owner,
		},
	}
}

// build puts the world's objects on a server and a reconciler before them.
func (w *world) build(t *testing.T) *Reconciler {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	objects := []client.Object{
		w.namespace, w.account,
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Spec: corev1.NodeSpec{ProviderID: providerID}},
	}
	for _, deployment := range []string{"web", "api"} {
		objects = append(objects, &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: deployment + "-1", UID: types.UID("uid-" + deployment + "-1"),
			OwnerReferences: []metav1.OwnerReference{controllerOf("Deployment", deployment)},
		}})
	}
	if w.policy != nil {
		objects = append(objects, w.policy)
	}
	if w.grant != nil {
		objects = append(objects, w.grant)
	}
	base := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.PullAccessGrant{}, &v1alpha1.PullAccessPolicy{}).WithInterceptorFuncs(w.funcs).Build()
	w.client = interceptor.NewClient(base, w.counting())
	observer := facts.New(facts.Observer{
		Client: w.client, Live: w.client, Cloud: &w.cloud, Nodes: workload.NewNodes(w.client), Clock: w.clock,
	})
	return New(Reconciler{Client: w.client, Observer: observer, Owners: workload.NewOwners(w.client), Recorder: w.recorder, Clock: w.clock, Grants: outcome.NewGrants()})
}

func (w *world) count(counts map[string]int, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts[what]++
}

func (w *world) counting() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			w.count(w.lookups, fmt.Sprintf("%T", obj))
			return c.Get(ctx, key, obj, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			w.count(w.writes, "create")
			return c.Create(ctx, obj, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			w.count(w.writes, "patch "+sub)
			return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
		},
	}
}

// fail sets what the kubelet says of the pod's container and reconciles it.
func (w *world) fail(t *testing.T, r *Reconciler, reason, message string) (reconcile.Result, error) {
	t.Helper()
	w.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}}
	return r.Reconcile(t.Context(), w.pod)
}

// said takes the events that were written since it was last asked.
func (w *world) said() []string {
	var all []string
	for {
		select {
		case event := <-w.recorder.Events:
			all = append(all, event)
		default:
			return all
		}
	}
}

func (w *world) grants(t *testing.T) []v1alpha1.PullAccessGrant {
	t.Helper()
	var list v1alpha1.PullAccessGrantList
	if err := w.client.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}
