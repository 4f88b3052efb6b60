// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"context"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

var (
	now      = controllertest.Start
	services = controllertest.Services
	tools    = imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "tools"}
)

const (
	image      = controllertest.Image
	otherImage = "us-central1-docker.pkg.dev/acme-prod/web/front:3"
	toolImage  = "us-central1-docker.pkg.dev/acme-prod/tools/init:1"
	nodes      = controllertest.Member
	batch      = "serviceAccount:batch@acme-prod.iam.gserviceaccount.com"
)

// env is an environment with the reconciler. The provider ID of a node is the member that
// it pulls as, or "nobody".
type env struct {
	*controllertest.Env
	r     *Reconciler
	steps int
}

func newEnv(t *testing.T, objects ...client.Object) *env {
	t.Helper()
	e := &env{Env: controllertest.New(t, objects...)}
	e.Cloud.Accounts["nobody"] = diagnosis.Puller{State: diagnosis.Missing}
	for _, object := range objects {
		if node, ok := object.(*corev1.Node); ok {
			if email, ok := v1alpha1.EmailOf(node.Spec.ProviderID); ok {
				e.Cloud.Accounts[node.Spec.ProviderID] = controllertest.NodeAccount(email)
			}
		}
	}
	e.restart()
	return e
}

// failNodes has reads of nodes fail with the error.
func (e *env) failNodes(err error) {
	e.Faults.Get = func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
		if _, node := o.(*corev1.Node); node && err != nil {
			return err
		}
		return c.Get(ctx, key, o, options...)
	}
}

// patches is the number of patches that were sent.
func (e *env) patches() int { return e.Writes()["patch status"] }

// asked are the nodes whose accounts the cloud was asked for, with their provider IDs.
func (e *env) asked() []string { return e.Cloud.Calls.Of(controllertest.MethodNodeAccount) }

// restart is what a new process finds: the same cluster and cloud, and no memory.
func (e *env) restart() {
	e.r = &Reconciler{
		Client: e.Client, Live: e.Lister, Nodes: workload.NewNodes(e.Client), Pullers: e.Cloud, Clock: e.Clock, Interval: DefaultInterval,
	}
}

// maxSteps is more than any test takes.
const maxSteps = 200

// step reconciles once, as soon as it may be.
func (e *env) step() (reconcile.Result, error) {
	e.Helper()
	if e.steps++; e.steps > maxSteps {
		e.Fatalf("no end after %d steps", maxSteps)
	}
	if e.r.next.After(e.Clock.Now()) {
		e.Clock.SetTime(e.r.next)
	}
	result, err := e.r.Reconcile(e.Context(), Cluster{})
	if err != nil && result != (reconcile.Result{}) {
		e.Errorf("a result %+v stands beside the error %v", result, err)
	}
	if err == nil && result.RequeueAfter <= 0 {
		e.Error("the next step was not asked for")
	}
	return result, err
}

// mustStep is a step that ends without an error.
func (e *env) mustStep() reconcile.Result {
	e.Helper()
	result, err := e.step()
	if err != nil {
		e.Fatalf("Reconcile: %v", err)
	}
	return result
}

// look steps until a look has come to its end, and returns when it began.
func (e *env) look() time.Time {
	e.Helper()
	for ended := e.r.ended; ; {
		result := e.mustStep()
		if !e.r.ended.Equal(ended) {
			return e.r.began
		}
		if e.r.look == nil && result.RequeueAfter > pagePause {
			e.Fatalf("no look was begun, but a wait of %s", result.RequeueAfter)
		}
	}
}

// change writes a grant's status as another controller would.
func (e *env) change(name string, how func(*v1alpha1.PullAccessGrant)) {
	e.Helper()
	g := e.Grant(name)
	how(g)
	e.UpdateStatus(g)
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

func (e *env) wantFindings(want map[string]string) {
	e.Helper()
	for name, one := range want {
		if got := finding(e.Grant(name)); got != one {
			e.Errorf("grant %s is %q, want %q", name, got, one)
		}
	}
}

// wantListed wants these lists to have been begun since it was last asked.
func (e *env) wantListed(want ...string) {
	e.Helper()
	if !slices.Equal(e.Lister.Kinds, want) {
		e.Errorf("listed %v, want %v", e.Lister.Kinds, want)
	}
	e.Lister.Kinds = nil
}

var everything = []string{"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "ReplicaSet", "Pod"}

// granted is a grant in force since an hour ago.
func granted(name string, repository imageref.Repository, member string) *v1alpha1.PullAccessGrant {
	g := controllertest.Grant(member)
	g.Name, g.Spec.Repository = name, repository.Record()
	grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", now.Add(-time.Hour))
	return g
}

func named(name string) metav1.ObjectMeta { return controllertest.Meta(name) }

// replicas sets the replicas of a Deployment.
func replicas(n int32) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Replicas = &n }
}
