// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/cluster"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/hack/pulltext"
)

const (
	// runLabel is on all that a run makes, with the run's number.
	runLabel = "random-run"
	// repositoryAnnotation is on the pods: the resource name of the repository that they pull from.
	repositoryAnnotation = "random-repository"
	// randomPlaces is how many sites a run has, and maxDeployments how many Deployments one of them.
	randomPlaces, maxDeployments = 3, 3
	// What has to happen now and then for the runs to mean something.
	addedTotal, removedTotal, interruptedTotal = "= members added", "= members removed", "= kills with an open intent"
	// retryAfter is when a pod that could not pull is tried again: about when a restart of its workload can come.
	retryAfter = 1500 * time.Millisecond
)

// randomNodes are those that the pods are on. No kubelet is there: the test writes the pods' statuses.
var randomNodes = []node{
	{name: "random-a", account: nodeAccount},
	{name: "random-b", account: "gke-batch@" + nodeProject + ".iam.gserviceaccount.com"},
}

// world is what the runs of a test have in common: a cloud, two nodes, namespaces, and an operator that lives on from run to
// run until one kills it.
type world struct {
	*lab
	t     *testing.T
	front *front
	sites []*site
	watch client.WithWatch

	// operator is nil while none runs; log is what all of them write to, and logged where the run began in it.
	operator *cluster.Process
	log      string
	logged   int64
	// runs counts those that were begun; unclean says that the last has not come to its end.
	runs    int
	unclean bool

	mu sync.Mutex
	// restarts are the times of restarts that were ever on record, by workload.
	restarts map[types.NamespacedName]map[string]bool
	// totals count what has happened in all runs.
	totals map[string]int
	// seen is closed and made anew whenever a grant changes.
	seen chan struct{}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		lab: newLab(t), t: t, log: filepath.Join(t.TempDir(), "operator.log"),
		restarts: map[types.NamespacedName]map[string]bool{}, totals: map[string]int{}, seen: make(chan struct{}),
	}
	w.front = newFront(t, w.cloud)
	var err error
	if w.watch, err = client.NewWithWatch(shared.Config, client.Options{Scheme: shared.client.Scheme()}); err != nil {
		t.Fatal(err)
	}
	for _, n := range randomNodes {
		w.cloud.AddServiceAccount(n.account)
		_, providerID := w.machine(t, n)
		createUntilEnd(t, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: n.labels()}, Spec: corev1.NodeSpec{ProviderID: providerID},
		})
	}
	for i := range randomPlaces {
		w.sites = append(w.sites, w.site(t, "random-"+strconv.Itoa(i), nodeProject))
	}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	running.Go(func() { w.kubelet(ctx) })
	running.Go(func() { w.watchGrants(ctx) })
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	t.Cleanup(func() {
		w.kill()
		wantNoRace(t, w.log)
	})
	return w
}

// launch starts an operator and does not wait for it: what follows comes while it starts, too.
func (w *world) launch() error {
	process, err := cluster.StartProcess(cluster.Command{
		Name: "operator",
		Path: shared.manager,
		Args: []string{
			"--kubeconfig=" + shared.operator, "--gcp-endpoint=" + w.front.url,
			"--metrics-bind-address=0", "--health-probe-bind-address=0", "--verbosity=1",
		},
		Env: os.Environ(),
		Log: w.log,
	})
	w.operator = process
	return err
}

// kill ends the operator as a crash would, and returns when nothing that it has sent is still on its way.
func (w *world) kill() {
	if w.operator == nil {
		return
	}
	w.operator.Kill()
	w.operator = nil
	w.front.drain()
}

// tellLog writes what the operators of this run have logged.
func (w *world) tellLog() {
	data, err := os.ReadFile(w.log)
	if err != nil {
		w.t.Log(err)
		return
	}
	w.t.Logf("the operator's log of this run:\n%s", data[min(w.logged, int64(len(data))):])
}

// begin makes a run's sites, and an operator if there is none.
func (w *world) begin(rt *rapid.T) *randomRun {
	w.runs++
	r := &randomRun{
		world: w, number: strconv.Itoa(w.runs), may: map[pair]bool{}, approved: map[pair]approval{}, stands: map[pair]bool{}, gone: map[pair]bool{},
	}
	if w.unclean {
		r.must(rt, w.clear())
	}
	w.unclean = true
	if info, err := os.Stat(w.log); err == nil {
		w.logged = info.Size()
	}
	for _, s := range w.sites {
		own := *s
		own.repository.Name = "r" + r.number + "-" + s.namespace
		own.image = location + "-docker.pkg.dev/" + own.repository.Project + "/" + own.repository.Name + "/app:1"
		w.cloud.AddRepository(gcpemulator.Repository{Project: own.repository.Project, Location: location, Name: own.repository.Name})
		r.must(rt, w.cloud.PushImage(own.image))
		r.places = append(r.places, &place{site: &own})
	}
	w.front.mu.Lock()
	w.front.run = r
	w.front.mu.Unlock()
	if w.operator == nil {
		r.must(rt, w.launch())
	}
	return r
}

// clear takes away by force what a run has left that was not ended.
func (w *world) clear() error {
	ctx := context.Background()
	w.kill()
	w.cloud.ClearFaults()
	var grants v1alpha1.PullAccessGrantList
	errs := []error{shared.client.DeleteAllOf(ctx, &v1alpha1.PullAccessPolicy{}), shared.client.List(ctx, &grants)}
	for i := range grants.Items {
		grant := &grants.Items[i]
		grant.Finalizers = nil
		errs = append(errs, client.IgnoreNotFound(shared.client.Update(ctx, grant)), client.IgnoreNotFound(shared.client.Delete(ctx, grant)))
	}
	for _, s := range w.sites {
		errs = append(errs, shared.client.DeleteAllOf(ctx, &appsv1.Deployment{}, client.InNamespace(s.namespace),
			client.PropagationPolicy(metav1.DeletePropagationBackground)))
	}
	return errors.Join(errs...)
}

// kubelet writes the statuses of all pods as the kubelets of the nodes would: who may read the repository runs, who may not is
// tried again later.
func (w *world) kubelet(ctx context.Context) {
	next := map[types.UID]time.Time{}
	_ = wait.PollUntilContextCancel(ctx, 2*pollInterval, true, func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		if err := shared.client.List(ctx, &pods, client.HasLabels{runLabel}); err != nil {
			return false, nil //nolint:nilerr // The API server is asked again.
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodPending || time.Now().Before(next[pod.UID]) {
				continue
			}
			next[pod.UID] = time.Now().Add(retryAfter)
			w.pull(pod)
			_ = shared.client.Status().Update(ctx, pod) // What has changed meanwhile is seen next time.
		}
		return false, nil
	})
}

// pull sets the status of a pod that a kubelet has tried to start.
func (w *world) pull(pod *corev1.Pod) {
	container, image := corev1.ContainerStatus{Name: "app"}, pod.Spec.Containers[0].Image
	container.Image = image
	ready, now := corev1.ConditionFalse, metav1.Now()
	account := randomNodes[slices.IndexFunc(randomNodes, func(n node) bool { return n.name == pod.Spec.NodeName })].account
	if slices.Contains(ownMembers(w.cloud.Policy(pod.Annotations[repositoryAnnotation])), v1alpha1.ServiceAccountMember(account)) {
		pod.Status.Phase, ready = corev1.PodRunning, corev1.ConditionTrue
		container.Ready, container.Started = true, &container.Ready
		container.State.Running = &corev1.ContainerStateRunning{StartedAt: now}
		container.ImageID, container.ContainerID = image, "containerd://"+string(pod.UID)
	} else {
		waiting := &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: pulltext.Refused(image)}
		if before := pod.Status.ContainerStatuses; len(before) > 0 && before[0].State.Waiting != nil && before[0].State.Waiting.Reason == waiting.Reason {
			waiting.Reason, waiting.Message = "ImagePullBackOff", pulltext.BackOff(image)
		}
		container.State.Waiting = waiting
	}
	pod.Status.StartTime = &now
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{container}
	pod.Status.Conditions = nil
	for _, kind := range []corev1.PodConditionType{corev1.PodReady, corev1.ContainersReady} {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: kind, Status: ready, LastTransitionTime: now})
	}
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue})
}

// watchGrants keeps which restarts were ever on record.
func (w *world) watchGrants(ctx context.Context) {
	for ctx.Err() == nil {
		var grants v1alpha1.PullAccessGrantList
		if err := w.watch.List(ctx, &grants); err != nil {
			continue
		}
		for i := range grants.Items {
			w.see(&grants.Items[i])
		}
		changes, err := w.watch.Watch(ctx, &v1alpha1.PullAccessGrantList{}, &client.ListOptions{
			Raw: &metav1.ListOptions{ResourceVersion: grants.ResourceVersion},
		})
		if err != nil {
			continue
		}
		for change := range changes.ResultChan() {
			if grant, ok := change.Object.(*v1alpha1.PullAccessGrant); ok && change.Type != watch.Error {
				w.see(grant)
			}
		}
	}
}

func (w *world) see(grant *v1alpha1.PullAccessGrant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, status := range grant.Status.Workloads {
		if status.RestartTime == nil {
			continue
		}
		key := types.NamespacedName{Namespace: status.Namespace, Name: status.Name}
		if w.restarts[key] == nil {
			w.restarts[key] = map[string]bool{}
		}
		if at := status.RestartTime.UTC().Format(time.RFC3339); !w.restarts[key][at] {
			w.restarts[key][at] = true
			w.totals["= restarts on record"]++
		}
	}
	close(w.seen)
	w.seen = make(chan struct{})
}

func (w *world) happened(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals[what]++
}

// tellTotals prints what has happened in all runs. Many runs in which the operator has written nothing have shown nothing.
func (w *world) tellTotals() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, what := range slices.Sorted(maps.Keys(w.totals)) {
		w.t.Logf("%6d %s", w.totals[what], what)
	}
	for _, what := range []string{addedTotal, removedTotal, interruptedTotal} {
		if w.runs >= 50 && w.totals[what] == 0 {
			w.t.Errorf("in %d runs there were no %s", w.runs, what)
		}
	}
}

// recorded tells whether the restart of that time was ever on record.
func (w *world) recorded(namespace, name, at string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.restarts[types.NamespacedName{Namespace: namespace, Name: name}][at]
}

// change is closed when a grant changes.
func (w *world) change() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// ignoreLate drops the error of a writer that others were faster than.
func ignoreLate(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil
	}
	return err
}
