// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	account  = "gke-nodes"
	services = "us-central1-docker.pkg.dev/acme-prod-417/services/"
	// hollowTimeout bounds one wait; without load each takes a few seconds.
	hollowTimeout = 2 * time.Minute
)

// hollowLab is a control plane with one hollow node before a registry.
type hollowLab struct {
	*Cluster
	registry *testRegistry
	node     HollowNode
}

func newHollowLab(t *testing.T) *hollowLab {
	t.Helper()
	lab := &hollowLab{Cluster: startCluster(t), registry: startTestRegistry(t)}
	lab.node = HollowNode{
		Name:        "hollow-1",
		ProviderID:  "gce://acme-prod-417/us-central1-a/hollow-1",
		Labels:      map[string]string{"cloud.google.com/gke-nodepool": "default-pool"},
		MetadataURL: startMetadata(t, account),
		RegistryURL: lab.registry.url,
		BackoffBase: time.Second,
	}
	if _, err := lab.StartHollowNode(t.Context(), lab.node); err != nil {
		t.Fatal(err)
	}
	return lab
}

// pushRandom stores a small image for this machine's architecture.
func (l *hollowLab) pushRandom(t *testing.T, name string) {
	t.Helper()
	image, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	l.registry.push(t, "acme-prod-417/services/"+name, "1", image)
}

func (l *hollowLab) run(t *testing.T, name string, change func(*corev1.Pod)) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64),
			Containers:                    []corev1.Container{{Name: "app", Image: services + name + ":1"}},
		},
	}
	if change != nil {
		change(pod)
	}
	if _, err := l.client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// await polls the pod until it is as wished, and returns it.
func (l *hollowLab) await(t *testing.T, name, what string, wish func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, hollowTimeout, true, func(ctx context.Context) (bool, error) {
		var err error
		pod, err = l.client.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{})
		return err == nil && wish(pod), err
	})
	if err != nil {
		t.Fatalf("pod %s never was %s: %v; its status: %+v", name, what, err, pod.Status)
	}
	return pod
}

func waitingFor(reason string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool {
		for _, status := range pod.Status.ContainerStatuses {
			return status.State.Waiting != nil && status.State.Waiting.Reason == reason
		}
		return false
	}
}

func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && pod.Status.Phase == corev1.PodRunning
		}
	}
	return false
}

func message(pod *corev1.Pod) string {
	if waiting := pod.Status.ContainerStatuses[0].State.Waiting; waiting != nil {
		return waiting.Message
	}
	return ""
}

// tokenDenied is the runtime's text for a token endpoint that refused an identity, or nobody.
func (l *hollowLab) tokenDenied(image, credential string) string {
	scope := strings.TrimSuffix(strings.TrimPrefix(image, "us-central1-docker.pkg.dev/"), ":1")
	return fmt.Sprintf("failed to pull and unpack image %q: failed to resolve image: failed to authorize: failed to fetch %s token: "+
		"unexpected status from GET request to %s/v2/token?scope=repository%%3A%s%%3Apull&service=test: 403 Forbidden",
		image, credential, l.registry.url, strings.ReplaceAll(scope, "/", "%2F"))
}

func TestHollowNodePulls(t *testing.T) {
	lab := newHollowLab(t)

	t.Run("a denied Deployment heals once it may pull", func(t *testing.T) {
		lab.pushRandom(t, "checkout")
		image := services + "checkout:1"
		if _, err := lab.Kubectl(t.Context(), "create", "deployment", "checkout", "--image="+image, "--replicas=2"); err != nil {
			t.Fatal(err)
		}
		name := lab.podOf(t, "checkout")
		text := lab.tokenDenied(image, "oauth")
		failed := lab.await(t, name, "refused", waitingFor("ErrImagePull"))
		if got := message(failed); got != text {
			t.Errorf("ErrImagePull says\n%s\nwant\n%s", got, text)
		}
		backing := lab.await(t, name, "backing off", waitingFor("ImagePullBackOff"))
		if got, want := message(backing), fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %s", image, text); got != want {
			t.Errorf("ImagePullBackOff says\n%s\nwant\n%s", got, want)
		}
		if backing.Status.Phase != corev1.PodPending || ready(backing) {
			t.Errorf("phase %s, ready %t, want Pending and not ready", backing.Status.Phase, ready(backing))
		}
		// Kubelet's back-off ends by itself: nothing else than the right changes here.
		lab.registry.allow("acme-prod-417/services/checkout", account)
		if _, err := lab.Kubectl(t.Context(), "rollout", "status", "deployment/checkout", "--timeout="+hollowTimeout.String()); err != nil {
			t.Fatal(err)
		}
		running := lab.await(t, name, "ready", ready)
		status := running.Status.ContainerStatuses[0]
		if !strings.HasPrefix(status.ImageID, services+"checkout@sha256:") || status.Started == nil || !*status.Started {
			t.Errorf("container status %+v, want it started from an image by digest", status)
		}
		if !lab.registry.sawHost("us-central1-docker.pkg.dev") {
			t.Error("the pull did not name the registry's true host")
		}
		lab.wantEvents(t, running,
			"Normal Pulling Pulling image "+fmt.Sprintf("%q", image),
			fmt.Sprintf("Warning Failed Failed to pull image %q: %s", image, text),
			"Warning Failed Error: ErrImagePull",
			fmt.Sprintf("Normal BackOff Back-off pulling image %q", image),
			"Warning Failed Error: ImagePullBackOff",
			"Normal Started Container started")
	})

	t.Run("a present image is pulled again only if the policy says so", func(t *testing.T) {
		lab.pushRandom(t, "cached")
		lab.registry.allow("acme-prod-417/services/cached", account)
		lab.run(t, "cached", nil)
		lab.await(t, "cached", "ready", ready)
		for i, tc := range []struct {
			policy corev1.PullPolicy
			want   int
		}{{corev1.PullIfNotPresent, 1}, {corev1.PullNever, 1}, {corev1.PullAlways, 2}} {
			name := fmt.Sprintf("again-%d", i)
			lab.run(t, name, func(pod *corev1.Pod) {
				pod.Spec.Containers[0].Image, pod.Spec.Containers[0].ImagePullPolicy = services+"cached:1", tc.policy
			})
			lab.await(t, name, "ready", ready)
			if got := lab.registry.resolves("acme-prod-417/services/cached"); got != tc.want {
				t.Errorf("after policy %s the image was asked for %d times, want %d", tc.policy, got, tc.want)
			}
		}
	})

	t.Run("a missing tag is not found", func(t *testing.T) {
		lab.registry.allow("acme-prod-417/services/missing", account)
		lab.run(t, "missing", nil)
		pod := lab.await(t, "missing", "refused", waitingFor("ErrImagePull"))
		image := services + "missing:1"
		want := fmt.Sprintf("rpc error: code = NotFound desc = failed to pull and unpack image %q: failed to resolve image: %s: not found", image, image)
		if got := message(pod); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})

	t.Run("what is no reference is never pulled", func(t *testing.T) {
		lab.run(t, "unset", func(pod *corev1.Pod) { pod.Spec.Containers[0].Image = services + "checkout:${TAG}" })
		pod := lab.await(t, "unset", "refused", waitingFor("InvalidImageName"))
		image := services + "checkout:${TAG}"
		want := fmt.Sprintf("Failed to apply default image tag %q: couldn't parse image name %q: invalid reference format", image, image)
		if got := message(pod); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})

	t.Run("an init container holds up the others", func(t *testing.T) {
		lab.pushRandom(t, "migrate")
		lab.run(t, "ordered", func(pod *corev1.Pod) {
			pod.Spec.InitContainers = []corev1.Container{{Name: "migrate", Image: services + "migrate:1"}}
			pod.Spec.Containers[0].Image = services + "cached:1"
		})
		pod := lab.await(t, "ordered", "held up", func(pod *corev1.Pod) bool {
			return len(pod.Status.InitContainerStatuses) == 1 && pod.Status.InitContainerStatuses[0].State.Waiting != nil &&
				pod.Status.InitContainerStatuses[0].State.Waiting.Reason == "ImagePullBackOff"
		})
		if !waitingFor("PodInitializing")(pod) {
			t.Errorf("the app container is %+v, want it to wait for the init container", pod.Status.ContainerStatuses[0].State)
		}
		lab.registry.allow("acme-prod-417/services/migrate", account)
		pod = lab.await(t, "ordered", "ready", ready)
		if pod.Status.InitContainerStatuses[0].State.Terminated == nil {
			t.Errorf("the init container is %+v, want it completed", pod.Status.InitContainerStatuses[0].State)
		}
	})

	t.Run("a container that once ran leaves its pod Running", func(t *testing.T) {
		lab.run(t, "changed", func(pod *corev1.Pod) { pod.Spec.Containers[0].Image = services + "cached:1" })
		lab.await(t, "changed", "ready", ready)
		patch := fmt.Appendf(nil, `{"spec":{"containers":[{"name":"app","image":%q}]}}`, services+"denied:1")
		if _, err := lab.client.CoreV1().Pods("default").Patch(t.Context(), "changed", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		pod := lab.await(t, "changed", "refused", waitingFor("ImagePullBackOff"))
		if pod.Status.Phase != corev1.PodRunning || ready(pod) || pod.Status.ContainerStatuses[0].RestartCount != 1 {
			t.Errorf("phase %s, ready %t, restarts %d; want Running, not ready, 1",
				pod.Status.Phase, ready(pod), pod.Status.ContainerStatuses[0].RestartCount)
		}
	})

	t.Run("an anonymous node sends no credential", func(t *testing.T) {
		node := lab.node
		node.Name, node.Anonymous = "hollow-2", true
		second, err := lab.StartHollowNode(t.Context(), node)
		if err != nil {
			t.Fatal(err)
		}
		defer second.Stop()
		lab.run(t, "anonymous", func(pod *corev1.Pod) {
			pod.Spec.Containers[0].Image, pod.Spec.NodeName = services+"cached:1", "hollow-2"
		})
		pod := lab.await(t, "anonymous", "refused", waitingFor("ErrImagePull"))
		if got, want := message(pod), lab.tokenDenied(services+"cached:1", "anonymous"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})

	t.Run("a deleted pod goes, ready or stuck", func(t *testing.T) {
		for _, name := range []string{"cached", "missing"} {
			if _, err := lab.Kubectl(t.Context(), "delete", "pod", name, "--grace-period=30", "--timeout="+hollowTimeout.String()); err != nil {
				t.Fatal(err)
			}
			if _, err := lab.client.CoreV1().Pods("default").Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("pod %s after its deletion: %v", name, err)
			}
		}
	})
}

func TestHollowNodeHoldsManyPods(t *testing.T) {
	lab := newHollowLab(t)
	lab.pushRandom(t, "many")
	replicas := int32(300)
	labels := map[string]string{"app": "many"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "many", Namespace: "default"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: services + "many:1"}}},
			},
		},
	}
	if _, err := lab.client.AppsV1().Deployments("default").Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	count := func(what string, wish func(*corev1.Pod) bool) {
		var got int
		err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, hollowTimeout, true, func(ctx context.Context) (bool, error) {
			pods, err := lab.client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
			if err != nil {
				return false, err
			}
			got = 0
			for i := range pods.Items {
				if wish(&pods.Items[i]) {
					got++
				}
			}
			return got == int(replicas), nil
		})
		if err != nil {
			t.Fatalf("%d of %d pods are %s", got, replicas, what)
		}
	}
	count("stuck", func(pod *corev1.Pod) bool {
		return waitingFor("ErrImagePull")(pod) || waitingFor("ImagePullBackOff")(pod)
	})
	lab.registry.allow("acme-prod-417/services/many", account)
	count("ready", ready)
}

// podOf returns the name of one pod of a Deployment.
func (l *hollowLab) podOf(t *testing.T, deployment string) string {
	t.Helper()
	var name string
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, hollowTimeout, true, func(ctx context.Context) (bool, error) {
		pods, err := l.client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=" + deployment})
		if err != nil || len(pods.Items) == 0 {
			return false, err
		}
		name = pods.Items[0].Name
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// wantEvents waits until the pod has all the events, as "TYPE REASON MESSAGE", written by kubelet about its container.
func (l *hollowLab) wantEvents(t *testing.T, pod *corev1.Pod, want ...string) {
	t.Helper()
	seen := map[string]bool{}
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, hollowTimeout, true, func(ctx context.Context) (bool, error) {
		events, err := l.client.CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID)})
		if err != nil {
			return false, err
		}
		for _, e := range events.Items {
			if e.Source.Component == "kubelet" && e.InvolvedObject.FieldPath == "spec.containers{"+pod.Spec.Containers[0].Name+"}" {
				seen[e.Type+" "+e.Reason+" "+e.Message] = true
			}
		}
		for _, event := range want {
			if !seen[event] {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		t.Errorf("events %v, want among them %q", seen, want)
	}
}
