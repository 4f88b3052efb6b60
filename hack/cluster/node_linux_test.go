// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build node

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/pull-access/pull-access-operator/hack/cluster/pause"
)

const (
	testHost  = "us-central1-docker.pkg.dev"
	checkout  = "acme-prod-417/services/checkout"
	pausePath = "acme-infra/public/pause"
	// testTimeout bounds one test; without load each takes well below a minute.
	testTimeout = 5 * time.Minute
)

// lab is a control plane and a registry that holds the images of the tests.
type lab struct {
	*Cluster
	registry *testRegistry
}

func startLab(ctx context.Context, t *testing.T) *lab {
	t.Helper()
	registry := startTestRegistry(t)
	image, err := pause.Image()
	if err != nil {
		t.Fatal(err)
	}
	registry.push(t, checkout, "1", image)
	registry.push(t, pausePath, "1", image)
	registry.public[pausePath] = true
	c, err := Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return &lab{Cluster: c, registry: registry}
}

func (l *lab) spec(t *testing.T, name string) NodeSpec {
	t.Helper()
	return NodeSpec{
		Name:        name,
		ProviderID:  "gce://acme-prod-417/us-central1-a/" + name,
		Labels:      map[string]string{"cloud.google.com/gke-nodepool": name + "-pool"},
		MetadataURL: startMetadata(t, name+"-account"),
		RegistryURL: l.registry.url,
		Registries:  []string{testHost},
		PauseImage:  testHost + "/" + pausePath + ":1",
	}
}

func (l *lab) startNode(ctx context.Context, t *testing.T, spec NodeSpec) *Node {
	t.Helper()
	node, err := l.StartNode(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Stop)
	return node
}

// deploy makes a Deployment of two pods on the named node.
func (l *lab) deploy(ctx context.Context, t *testing.T, name, node, image string) {
	t.Helper()
	file := l.path(name + ".yaml")
	text := fmt.Sprintf(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: %[1]s}, spec: {
  replicas: 2, selector: {matchLabels: {app: %[1]s}},
  template: {metadata: {labels: {app: %[1]s}}, spec: {
    nodeSelector: {kubernetes.io/hostname: %[2]s}, terminationGracePeriodSeconds: 1,
    containers: [{name: app, image: %[3]q}]}}}}`, name, node, image)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l.kubectl(ctx, t, "apply", "-f", file)
}

func (l *lab) kubectl(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	out, err := l.Kubectl(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// failure waits until every pod of the Deployment waits in ImagePullBackOff, and returns the text of one.
func (l *lab) failure(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	var message, last string
	err := wait.PollUntilContextTimeout(ctx, pollInterval, time.Minute, true, func(ctx context.Context) (bool, error) {
		pods, err := l.client.CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
		if err != nil {
			return false, err
		}
		stuck := 0
		for _, pod := range pods.Items {
			last = fmt.Sprintf("%+v", pod.Status)
			for _, status := range pod.Status.ContainerStatuses {
				if waiting := status.State.Waiting; waiting != nil && waiting.Reason == "ImagePullBackOff" {
					stuck, message = stuck+1, waiting.Message
				}
			}
		}
		return stuck == 2, nil
	})
	if err != nil {
		t.Fatalf("pods of %s do not wait in ImagePullBackOff: %v; the last is %s", name, err, last)
	}
	return message
}

func requireText(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(got, part) {
			t.Errorf("text = %q, want it to hold %q", got, part)
		}
	}
}

// TestRealNodes is the story that the operator lives in, told by hand: one of two accounts may not pull, is then allowed to,
// and a restart brings its pods up.
func TestRealNodes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	l := startLab(ctx, t)
	l.registry.allow(checkout, "second-account")
	first := l.startNode(ctx, t, l.spec(t, "first"))
	second := l.startNode(ctx, t, l.spec(t, "second"))

	l.deploy(ctx, t, "refused", "first", testHost+"/"+checkout+":1")
	l.deploy(ctx, t, "allowed", "second", testHost+"/"+checkout+":1")
	// No host is named for this one, and no credential is for it: it must end on loopback all the same.
	l.deploy(ctx, t, "elsewhere", "second", "ghcr.io/acme/tool:1")

	requireText(t, l.failure(ctx, t, "refused"), `Back-off pulling image "`+testHost+"/"+checkout+`:1": ErrImagePull: `,
		"failed to fetch oauth token", "403 Forbidden")
	requireText(t, l.failure(ctx, t, "elsewhere"), "failed to fetch anonymous token", "403 Forbidden")
	l.kubectl(ctx, t, "rollout", "status", "deployment/allowed", "--timeout=60s")
	for _, host := range []string{testHost, "ghcr.io"} {
		if !l.registry.sawHost(host) {
			t.Errorf("the registry saw no pull from %s", host)
		}
	}

	l.registry.allow(checkout, "first-account")
	l.kubectl(ctx, t, "rollout", "restart", "deployment/refused")
	l.kubectl(ctx, t, "rollout", "status", "deployment/refused", "--timeout=60s")

	node, err := l.client.CoreV1().Nodes().Get(ctx, "first", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if node.Spec.ProviderID != "gce://acme-prod-417/us-central1-a/first" || node.Labels["cloud.google.com/gke-nodepool"] != "first-pool" {
		t.Errorf("node = %q with labels %v, want the spec's", node.Spec.ProviderID, node.Labels)
	}
	requireNodesEnd(t, l, first, second)
}

// requireNodesEnd stops one node after the other, and looks that the one that goes takes all of its own and nothing else.
func requireNodesEnd(t *testing.T, l *lab, first, second *Node) {
	t.Helper()
	firstTraces, secondTraces := tracesOf(t, l.path("node-first")), tracesOf(t, l.path("node-second"))
	firstTraces.requireRunning(t)
	first.Stop()
	firstTraces.requireGone(t)
	secondTraces.requireRunning(t)
	second.Stop()
	second.Stop()
	secondTraces.requireGone(t)
}

// TestAnonymousNode shows the text of a pull without any credential.
func TestAnonymousNode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	l := startLab(ctx, t)
	spec := l.spec(t, "anonymous")
	spec.Anonymous, spec.MetadataURL = true, ""
	l.startNode(ctx, t, spec)
	l.deploy(ctx, t, "app", "anonymous", testHost+"/"+checkout+":1")
	requireText(t, l.failure(ctx, t, "app"), "failed to fetch anonymous token", "403 Forbidden")
	found := tracesOf(t, l.path("node-anonymous"))
	l.Stop()
	found.requireGone(t)
}

// TestKilledSupervisor has the supervisor die without a word. The kernel ends the node; the next one removes the rest.
func TestKilledSupervisor(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	l := startLab(ctx, t)
	l.registry.allow(checkout, "killed-account")
	killed := l.startNode(ctx, t, l.spec(t, "killed"))
	l.deploy(ctx, t, "app", "killed", testHost+"/"+checkout+":1")
	l.kubectl(ctx, t, "rollout", "status", "deployment/app", "--timeout=60s")
	found := tracesOf(t, l.path("node-killed"))
	found.requireRunning(t)

	killed.process.Kill()
	waitUntil(ctx, t, "the node's processes are gone", func() bool {
		left := found.remaining(t)
		return left[aProgram] == "" && left[aWorkload] == ""
	})
	next := l.startNode(ctx, t, l.spec(t, "next"))
	if _, err := os.Stat(found.dir); err == nil {
		t.Errorf("folder %s of the killed node is still there", found.dir)
	}
	next.Stop()
	found.requireGone(t)
}

// TestParentDies has the program that started a node die, as a test that is killed does.
func TestParentDies(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	l := startLab(ctx, t)
	binaries, err := nodeBinaries()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := l.NodeKubeconfig("orphan")
	if err != nil {
		t.Fatal(err)
	}
	// The shell is the parent; it waits for its child, and so does not become the child itself.
	script := append([]string{"-c", `"$@" & wait`, "sh", binaries["real"]}, l.nodeArguments(l.spec(t, "orphan"), binaries, kubeconfig)...)
	parent := exec.CommandContext(ctx, "/bin/sh", script...)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntil(ctx, t, "the node is Ready", func() bool { return l.isReady(ctx, "orphan") })
	l.registry.allow(checkout, "orphan-account")
	l.deploy(ctx, t, "app", "orphan", testHost+"/"+checkout+":1")
	l.kubectl(ctx, t, "rollout", "status", "deployment/app", "--timeout=60s")
	found := tracesOf(t, l.path("node-orphan"))
	found.requireRunning(t)

	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // It was killed, and says so.
	waitUntil(ctx, t, "the node has removed itself", func() bool { return len(found.remaining(t)) == 0 })
}

// TestNodeRefuses has nodes that can't start say why, and leave nothing.
func TestNodeRefuses(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	l := startLab(ctx, t)
	for name, tc := range map[string]struct {
		change  func(*NodeSpec)
		wantErr string
	}{
		"name that is none":     {func(s *NodeSpec) { s.Name = "../etc" }, "its name is none"},
		"registry off loopback": {func(s *NodeSpec) { s.RegistryURL = "http://192.0.2.1" }, "is not on loopback"},
		"no sandbox image":      {func(s *NodeSpec) { s.PauseImage = "" }, "--pause-image is needed"},
		"label kubelet refuses": {func(s *NodeSpec) { s.Labels = map[string]string{"kubernetes.io/pool": "x"} }, "kubelet has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := l.spec(t, "refused")
			tc.change(&spec)
			node, err := l.StartNode(ctx, spec)
			if err == nil {
				node.Stop()
			}
			if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("error = %v, want one that says %q", err, tc.wantErr)
			}
			if left, _ := filepath.Glob(l.path("node-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func (l *lab) isReady(ctx context.Context, name string) bool {
	node, err := l.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func waitUntil(ctx context.Context, t *testing.T, what string, reached func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(ctx, pollInterval, time.Minute, true, func(context.Context) (bool, error) {
		return reached(), nil
	})
	if err != nil {
		t.Fatalf("wait until %s: %v", what, err)
	}
}
