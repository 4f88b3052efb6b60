// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package app

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/cluster"
	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/hack/pulltext"
)

const (
	project, location, repository = "acme-prod-417", "us-central1", "services"
	account                       = "gke-nodes@" + project + ".iam.gserviceaccount.com"
	nodeName, writeMethod         = "node", "SetIamPolicy"
	image                         = location + "-docker.pkg.dev/" + project + "/" + repository + "/app:1"
	// patience bounds one wait; on a machine without load each takes a second or two.
	patience = 2 * time.Minute
)

// ran: the series and the names of the controllers are registered once in a process, and Run with them.
var ran atomic.Bool

// TestRunLeavesNothing has the operator run in this process, through a fault of the cloud and a failure that it heals, and end:
// all goroutines that it has begun end with it.
func TestRunLeavesNothing(t *testing.T) {
	if ran.Swap(true) {
		t.Skip("the operator runs once in a process")
	}
	ctrllog.SetLogger(logr.Discard())
	ctx := t.Context()
	c, err := cluster.Start(ctx, cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	cloud := startCloud(t)
	administrator := administer(t, c)
	// Another user than the administrator has connections of its own.
	kubeconfig, err := c.UserKubeconfig("operator", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	cloud.InjectFault(gcpemulator.Fault{Method: writeMethod, Times: 1, HTTPStatus: http.StatusServiceUnavailable})
	pod := fail(t, administrator)
	// What stands around the operator is not its own. Nor is what controller-runtime leaves of a watch that is stopped while it
	// hands on an object: apimachinery's watch.Filter then waits for ever for somebody to take it, at most one for each watch.
	around := []goleak.Option{goleak.IgnoreCurrent(), goleak.IgnoreTopFunction("k8s.io/apimachinery/pkg/watch.(*filteredWatch).loop")}

	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(running, "test", Options{
			Kubeconfig: kubeconfig, GCPEndpoint: cloud.URL(), UsageInterval: time.Second, MetricsAddress: "127.0.0.1:0", MetricsSecure: true, ProbeAddress: "127.0.0.1:0",
			LeaderElect: true, LeaderNamespace: metav1.NamespaceDefault,
		})
	}()
	// Until here the administrator is silent: Run sets the logger that both have.
	eventually(t, "the operator writes the policy again", func(context.Context) error { return wrote(cloud, 2) })
	awaitGrant(t, administrator, v1alpha1.ConditionGranted)
	pull(t, administrator, pod)
	awaitGrant(t, administrator, v1alpha1.ConditionReady)

	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	// Connections are kept for the next call, and nobody can tell Google's clients to close theirs. No call is under way on any of
	// them: that would be a goroutine of its caller's, too.
	eventually(t, "nothing of the operator runs but connections at rest", func(context.Context) error {
		return goleak.Find(append(slices.Clone(around),
			goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
			goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run"),
			goleak.IgnoreAnyFunction("net/http.(*conn).serve"), // The emulator's ends of them.
		)...)
	})
	if err := cloud.Close(); err != nil {
		t.Error(err)
	}
	c.Stop()
	eventually(t, "nothing is left when the other ends have closed them", func(context.Context) error { return goleak.Find(around...) })
}

// wrote wants the operator to have tried so often.
func wrote(cloud *gcpemulator.Emulator, times int) error {
	n := 0
	for _, r := range cloud.Requests() {
		if r.Method == writeMethod {
			n++
		}
	}
	if n < times {
		return fmt.Errorf("it was written %d times", n)
	}
	return nil
}

func startCloud(t *testing.T) *gcpemulator.Emulator {
	t.Helper()
	cloud, err := gcpemulator.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() }) // A second time where the test came to its end.
	cloud.AddProject(project, 417)
	cloud.AddServiceAccount(account)
	cloud.AddRepository(gcpemulator.Repository{Project: project, Location: location, Name: repository})
	if err := cloud.PushImage(image); err != nil {
		t.Fatal(err)
	}
	cloud.AddInstance(gcpemulator.Instance{Project: project, Zone: location + "-a", Name: nodeName, ServiceAccount: account})
	return cloud
}

// administer makes our kinds known to the cluster, waits for what every pod needs, and returns the administrator's client.
func administer(t *testing.T, c *cluster.Cluster) client.Client {
	t.Helper()
	root, err := binary.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{
		{"apply", "-k", filepath.Join(root, "config", "crd")},
		{
			"wait", "crd", "--for=condition=Established", "--timeout=60s",
			"pullaccesspolicies.pullaccess.dev", "pullaccessgrants.pullaccess.dev",
		},
	} {
		if _, err := c.Kubectl(t.Context(), arguments...); err != nil {
			t.Fatal(err)
		}
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	administrator, err := client.New(c.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace has its service account", func(ctx context.Context) error {
		return administrator.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "default"}, &corev1.ServiceAccount{})
	})
	return administrator
}

// fail makes a node without a kubelet, a policy, and a pod that cannot pull.
func fail(t *testing.T, administrator client.Client) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: metav1.NamespaceDefault},
		Spec: corev1.PodSpec{
			NodeName:    nodeName,
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers:  []corev1.Container{{Name: "app", Image: image}},
		},
	}
	for _, object := range []client.Object{
		&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: nodeName},
			Spec:       corev1.NodeSpec{ProviderID: "gce://" + project + "/" + location + "-a/" + nodeName},
		},
		&v1alpha1.PullAccessPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "services"},
			Spec: v1alpha1.PullAccessPolicySpec{
				Mode:                v1alpha1.ModeEnforce,
				NamespaceSelector:   &metav1.LabelSelector{},
				Repositories:        []v1alpha1.RepositoryPattern{{Project: project, Location: location, Name: repository}},
				NodeServiceAccounts: []string{account},
			},
		},
		pod,
	} {
		if err := administrator.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	writeStatus(t, administrator, pod, corev1.PodPending, corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: pulltext.Refused(image)},
	})
	return pod
}

// pull has the pod run.
func pull(t *testing.T, administrator client.Client, pod *corev1.Pod) {
	t.Helper()
	writeStatus(t, administrator, pod, corev1.PodRunning, corev1.ContainerState{
		Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()},
	})
}

func writeStatus(t *testing.T, administrator client.Client, pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState) {
	t.Helper()
	before := pod.DeepCopy()
	started := state.Running != nil
	pod.Status.Phase = phase
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: image, State: state, Started: &started, Ready: started}}
	if err := administrator.Status().Patch(t.Context(), pod, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// awaitGrant waits until the one grant has the condition.
func awaitGrant(t *testing.T, administrator client.Client, condition string) {
	t.Helper()
	eventually(t, "the grant is "+condition, func(ctx context.Context) error {
		var grants v1alpha1.PullAccessGrantList
		if err := administrator.List(ctx, &grants); err != nil {
			return err
		}
		if len(grants.Items) != 1 || !meta.IsStatusConditionTrue(grants.Items[0].Status.Conditions, condition) {
			return fmt.Errorf("the grants are %+v", grants.Items)
		}
		return nil
	})
}

func eventually(t *testing.T, what string, hold func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = hold(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("it never came to be that %s: %v", what, last)
	}
}
