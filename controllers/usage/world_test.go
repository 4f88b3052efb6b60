// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

var (
	now      = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	services = imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "services"}
	tools    = imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "tools"}
)

const (
	image      = "us-central1-docker.pkg.dev/acme-prod/services/checkout:1.8.2"
	otherImage = "us-central1-docker.pkg.dev/acme-prod/web/front:3"
	toolImage  = "us-central1-docker.pkg.dev/acme-prod/tools/init:1"
	nodes      = "serviceAccount:nodes@acme-prod.iam.gserviceaccount.com"
	batch      = "serviceAccount:batch@acme-prod.iam.gserviceaccount.com"
)

// pages is an API server that lists in pages, which the fake client does not. A
// list is as it was when its first page was read.
type pages struct {
	client.Reader
	size int
	// said are the lists that were begun, as their types, and lists how many pages
	// were read; before is called ahead of each, and fails it.
	said   []string
	lists  int
	before func(page int) error
	open   map[string]client.ObjectList
}

// List implements client.Reader.
func (p *pages) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	p.lists++
	if p.before != nil {
		if err := p.before(p.lists); err != nil {
			return err
		}
	}
	o := (&client.ListOptions{}).ApplyOptions(options)
	if o.Limit != pageSize {
		return fmt.Errorf("a page of %d was asked for", o.Limit)
	}
	kind, from := fmt.Sprintf("%T", list), 0
	if o.Continue == "" {
		p.said = append(p.said, strings.TrimSuffix(kind[strings.LastIndex(kind, ".")+1:], "List"))
		whole, ok := list.DeepCopyObject().(client.ObjectList)
		if !ok {
			return errors.New("no list")
		}
		if err := p.Reader.List(ctx, whole); err != nil {
			return err
		}
		p.open[kind] = whole
	} else {
		var err error
		if from, err = strconv.Atoi(o.Continue); err != nil {
			return apierrors.NewBadRequest("the continue token is none")
		}
	}
	items, err := meta.ExtractList(p.open[kind])
	if err != nil {
		return err
	}
	until := min(from+p.size, len(items))
	if until < len(items) {
		list.SetContinue(strconv.Itoa(until))
	}
	return meta.SetList(list, items[from:until])
}

// cloud tells the accounts of nodes by the provider ID, which in these tests is
// the member itself.
type cloud struct{ asked []string }

// NodeAccount implements workload.Pullers.
func (c *cloud) NodeAccount(_ context.Context, node diagnosis.Node) diagnosis.Puller {
	c.asked = append(c.asked, node.Name)
	email, ok := v1alpha1.EmailOf(node.ProviderID)
	switch {
	case ok:
		return diagnosis.Puller{State: diagnosis.Present, Email: email}
	case node.ProviderID == "nobody":
		return diagnosis.Puller{State: diagnosis.Missing}
	default:
		return diagnosis.Puller{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unavailable}}
	}
}

// world is a cluster, a cloud and the reconciler between them.
type world struct {
	*testing.T
	client  client.WithWatch
	pages   *pages
	cloud   *cloud
	clock   *clocktesting.FakePassiveClock
	r       *Reconciler
	patches int
	steps   int
	// patch and get fail a write to a status, and a read of a node.
	patch func(o client.Object) error
	get   func() error
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{T: t, cloud: &cloud{}, clock: clocktesting.NewFakePassiveClock(now)}
	base := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.PullAccessGrant{}).Build()
	w.client = interceptor.NewClient(base, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			w.patches++
			if w.patch != nil {
				if err := w.patch(o); err != nil {
					return err
				}
			}
			return c.SubResource(sub).Patch(ctx, o, patch, options...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if _, node := o.(*corev1.Node); node && w.get != nil {
				if err := w.get(); err != nil {
					return err
				}
			}
			return c.Get(ctx, key, o, options...)
		},
	})
	w.pages = &pages{Reader: w.client, size: pageSize, open: map[string]client.ObjectList{}}
	w.restart()
	return w
}

// restart is what a new process finds: the same cluster and cloud, and no memory.
func (w *world) restart() {
	w.r = &Reconciler{
		Client: w.client, Live: w.pages, Nodes: workload.NewNodes(w.client), Pullers: w.cloud, Clock: w.clock, Interval: DefaultInterval,
	}
}

// maxSteps is more than any test takes.
const maxSteps = 200

// step reconciles once, as soon as it may be.
func (w *world) step() (reconcile.Result, error) {
	w.Helper()
	if w.steps++; w.steps > maxSteps {
		w.Fatalf("no end after %d steps", maxSteps)
	}
	if w.r.next.After(w.clock.Now()) {
		w.clock.SetTime(w.r.next)
	}
	result, err := w.r.Reconcile(w.Context(), Cluster{})
	if err != nil && result != (reconcile.Result{}) {
		w.Errorf("a result %+v stands beside the error %v", result, err)
	}
	if err == nil && result.RequeueAfter <= 0 {
		w.Error("the next step was not asked for")
	}
	return result, err
}

// mustStep is a step that ends without an error.
func (w *world) mustStep() reconcile.Result {
	w.Helper()
	result, err := w.step()
	if err != nil {
		w.Fatalf("Reconcile: %v", err)
	}
	return result
}

// look steps until a look has come to its end, and returns when it began.
func (w *world) look() time.Time {
	w.Helper()
	for ended := w.r.ended; ; {
		result := w.mustStep()
		if !w.r.ended.Equal(ended) {
			return w.r.began
		}
		if w.r.look == nil && result.RequeueAfter > pagePause {
			w.Fatalf("no look was begun, but a wait of %s", result.RequeueAfter)
		}
	}
}

func (w *world) wait(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

func (w *world) grant(name string) *v1alpha1.PullAccessGrant {
	w.Helper()
	g := &v1alpha1.PullAccessGrant{}
	if err := w.client.Get(w.Context(), client.ObjectKey{Name: name}, g); err != nil {
		w.Fatal(err)
	}
	return g
}

// change writes a grant's status as another controller would.
func (w *world) change(name string, how func(*v1alpha1.PullAccessGrant)) {
	w.Helper()
	g := w.grant(name)
	how(g)
	if err := w.client.Status().Update(w.Context(), g); err != nil {
		w.Fatal(err)
	}
}

func (w *world) create(o client.Object) {
	w.Helper()
	if err := w.client.Create(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

// finding is what the record says: "used", "unused", or "" if it says nothing.
func finding(g *v1alpha1.PullAccessGrant) string {
	switch {
	case g.Status.Usage.UnusedSinceTime != nil:
		return "unused"
	case g.Status.Usage.LastUsedTime != nil:
		return "used"
	default:
		return ""
	}
}

func (w *world) wantFindings(want map[string]string) {
	w.Helper()
	for name, one := range want {
		if got := finding(w.grant(name)); got != one {
			w.Errorf("grant %s is %q, want %q", name, got, one)
		}
	}
}

// wantListed wants these lists to have been begun since it was last asked.
func (w *world) wantListed(want ...string) {
	w.Helper()
	if !slices.Equal(w.pages.said, want) {
		w.Errorf("listed %v, want %v", w.pages.said, want)
	}
	w.pages.said = nil
}

var everything = []string{"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "ReplicaSet", "Pod"}

// granted is a grant in force since an hour ago.
func granted(name string, repository imageref.Repository, member string) *v1alpha1.PullAccessGrant {
	g := &v1alpha1.PullAccessGrant{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.PullAccessGrantSpec{Repository: repository.Record(), Member: member, Policy: "prod"},
	}
	grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", now.Add(-time.Hour))
	return g
}

func node(name, providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: providerID}}
}

func specOf(image string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}}
}

func podOn(node, name, image string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: named(name), Spec: specOf(image)}
	pod.Spec.NodeName = node
	return pod
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "shop", Name: name} }

func templateOf(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: specOf(image)}
}

// controlledBy is a ReplicaSet's owner.
func controlledBy(apiVersion, kind string) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "web", UID: "uid-web", Controller: ptr.To(true)}}
}

func deployment(name, image string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: named(name), Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: templateOf(image)}}
}
