// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/cluster"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

const (
	// nodeProject is where the nodes are, and the repositories of the cases that are not about two projects.
	nodeProject = "acme-prod-417"
	zone        = "us-central1-a"
	location    = "us-central1"
	// nodeAccount is whom the nodes pull as, where a case does not say otherwise.
	nodeAccount = "gke-nodes@" + nodeProject + ".iam.gserviceaccount.com"

	// quick is the first back-off of a node that soon tries again; slow is that of one which in a test's time does not, so
	// that nothing but a restart brings its pods up.
	quick = time.Second
	slow  = 5 * time.Minute
)

// lab is a Google Cloud of its own and the nodes in it. Tests that have one don't run in parallel with each other, for every
// operator looks at the whole cluster; what is in one lab may.
type lab struct {
	cloud *gcpemulator.Emulator
	// decrees keeps apart those that set policies with a delay of their own.
	decrees sync.Mutex
	// image is what the sites' images hold, if they have to run.
	image v1.Image
}

func newLab(t *testing.T) *lab {
	t.Helper()
	cloud, err := gcpemulator.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	cloud.AddProject(nodeProject, 417)
	cloud.AddProject(sharedProject, 306)
	cloud.AddServiceAccount(nodeAccount)
	t.Cleanup(func() { clearCluster(t) })
	return &lab{cloud: cloud}
}

// node is one node of the cluster, by what makes it differ from the usual one.
type node struct {
	name string
	// account is the service account of the instance, and the one whose token the node's metadata server gives.
	account string
	// bare has Compute Engine say that the instance has no service account.
	bare bool
	// scopes are the OAuth scopes of the instance, cloud-platform if nil.
	scopes []string
	// hidden has Compute Engine refuse to show the instance.
	hidden bool
	// providerID is that of the instance if nil.
	providerID *string
	anonymous  bool
	backoff    time.Duration
	// env makes the node use the registries' own names through a proxy. If it is empty, the node uses the emulator's address.
	env []string
}

// start starts a hollow node with its instance.
func (l *lab) start(t *testing.T, n node) {
	t.Helper()
	metadata, providerID := l.machine(t, n)
	registry := l.cloud.URL()
	if len(n.env) > 0 {
		registry = ""
	}
	started, err := shared.StartHollowNode(t.Context(), cluster.HollowNode{
		Name:        n.name,
		ProviderID:  providerID,
		Labels:      n.labels(),
		MetadataURL: metadata,
		RegistryURL: registry,
		Anonymous:   n.anonymous,
		BackoffBase: n.backoff,
		Env:         n.env,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, started) })
}

func (n node) labels() map[string]string {
	return map[string]string{"cloud.google.com/gke-nodepool": n.name}
}

// machine makes the node's instance, and returns its metadata server and the provider ID of the node.
func (l *lab) machine(t *testing.T, n node) (metadata, providerID string) {
	t.Helper()
	instance := gcpemulator.Instance{
		Project: nodeProject, Zone: zone, Name: n.name, ServiceAccount: cmp.Or(n.account, nodeAccount), Scopes: n.scopes,
	}
	metadata, err := l.cloud.StartMetadata(instance)
	if err != nil {
		t.Fatal(err)
	}
	if n.bare {
		instance.ServiceAccount = ""
	}
	l.cloud.AddInstance(instance)
	if n.hidden {
		l.cloud.InjectFault(gcpemulator.Fault{
			Method: "instances.get", Match: "/instances/" + n.name, HTTPStatus: http.StatusForbidden,
			Message: "Required 'compute.instances.get' permission for 'projects/" + nodeProject + "/zones/" + zone + "/instances/" + n.name + "'",
		})
	}
	if n.providerID != nil {
		return metadata, *n.providerID
	}
	return metadata, "gce://" + nodeProject + "/" + zone + "/" + n.name
}

// remove stops a node and takes it off the cluster.
func remove(t *testing.T, started *cluster.Node) {
	t.Helper()
	started.Stop()
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: started.Name}}
	if err := client.IgnoreNotFound(shared.client.Delete(context.WithoutCancel(t.Context()), object)); err != nil {
		t.Error(err)
	}
}

// push stores an image.
func (l *lab) push(t *testing.T, image string) {
	t.Helper()
	err := l.cloud.PushImage(image)
	if l.image != nil {
		err = l.cloud.PushImageFrom(image, l.image)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// operator starts an operator in this cloud.
func (l *lab) operator(t *testing.T, args ...string) *operator {
	t.Helper()
	return startOperator(t, launch{endpoint: l.cloud.URL(), args: args})
}

// writes counts the attempts at writing the policy of a repository.
func (l *lab) writes(resource string) int { return len(l.answers(resource)) }

// answers are the HTTP codes that these attempts were answered with, 0 where nothing was.
func (l *lab) answers(resource string) []int {
	statuses := []int{}
	for _, r := range l.cloud.Requests() {
		if r.Method == writeMethod && r.Resource == resource {
			statuses = append(statuses, r.Status)
		}
	}
	return statuses
}

// clearCluster takes away what a lab leaves on the cluster. By now no operator runs that would let go of grants.
func clearCluster(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var grants v1alpha1.PullAccessGrantList
	if err := shared.client.List(ctx, &grants); err != nil {
		t.Error(err)
	}
	for i := range grants.Items {
		grant := &grants.Items[i]
		grant.Finalizers = nil
		if err := client.IgnoreNotFound(shared.client.Update(ctx, grant)); err != nil {
			t.Error(err)
		}
		if err := client.IgnoreNotFound(shared.client.Delete(ctx, grant)); err != nil {
			t.Error(err)
		}
	}
	if err := shared.client.DeleteAllOf(ctx, &v1alpha1.PullAccessPolicy{}); err != nil {
		t.Error(err)
	}
	var namespaces corev1.NamespaceList
	if err := shared.client.List(ctx, &namespaces, client.HasLabels{siteLabel}); err != nil {
		t.Error(err)
	}
	for i := range namespaces.Items {
		if err := client.IgnoreNotFound(shared.client.Delete(ctx, &namespaces.Items[i])); err != nil {
			t.Error(err)
		}
	}
	// The next operator would see a pod that is left.
	for i := range namespaces.Items {
		err := wait.PollUntilContextTimeout(ctx, pollInterval, patience, true, func(ctx context.Context) (bool, error) {
			var pods corev1.PodList
			err := shared.client.List(ctx, &pods, client.InNamespace(namespaces.Items[i].Name))
			return len(pods.Items) == 0, err
		})
		if err != nil {
			t.Errorf("wait for the end of the pods of %s: %v", namespaces.Items[i].Name, err)
		}
	}
}
