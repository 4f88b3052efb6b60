// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/pull-access/pull-access-operator/hack/cluster/binary"
)

// startCluster starts a control plane that ends with the test.
func startCluster(t *testing.T) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

func TestStopLeavesNothing(t *testing.T) {
	c := startCluster(t)
	node, err := c.StartHollowNode(t.Context(), HollowNode{Name: "passing"})
	if err != nil {
		t.Fatal(err)
	}
	children := c.children
	if want := 5; len(children) != want {
		t.Fatalf("the cluster has %d children, want %d", len(children), want)
	}
	c.Stop()
	c.Stop() // A second call is harmless.
	node.Stop()
	for _, child := range children {
		if err := syscall.Kill(-child.PID(), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process group of %s is still there: %v", child.command.Name, err)
		}
	}
	if _, err := os.Stat(c.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the cluster's folder is still there: %v", err)
	}
	if _, err := c.spawn(Command{Name: "late", Path: "/bin/sh"}); err == nil {
		t.Error("a stopped cluster started a child")
	}
}

func TestStartFailureCleansUp(t *testing.T) {
	binaries, err := binary.Find(binary.ControlPlane)
	if err != nil {
		t.Fatal(err)
	}
	binaries["kube-apiserver"] = "/bin/false"
	dir := t.TempDir()
	_, err = start(t.Context(), Options{Dir: dir, Keep: true}, binaries)
	if err == nil || !strings.Contains(err.Error(), "kube-apiserver ended early (exit status 1)") {
		t.Errorf("Start said %v, want it to name the program that ended", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestAccess(t *testing.T) {
	c := startCluster(t)
	ctx := t.Context()

	t.Run("kubeconfigs are private", func(t *testing.T) {
		info, err := os.Stat(c.Kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, want 0600", info.Mode().Perm())
		}
	})

	t.Run("a service account has its own rights only", func(t *testing.T) {
		path, err := c.ServiceAccountKubeconfig(ctx, "default", "default")
		if err != nil {
			t.Fatal(err)
		}
		config, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = kubernetes.NewForConfigOrDie(config).CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "system:serviceaccount:default:default") {
			t.Errorf("listing secrets answered %v, want forbidden for the account", err)
		}
		if !audited(t, c, "system:serviceaccount:default:default", "list", "secrets", http.StatusForbidden) {
			t.Error("the audit log does not hold the refused request")
		}
	})

	t.Run("kubectl says its release and its failures", func(t *testing.T) {
		out, err := c.Kubectl(ctx, "version")
		if err != nil || !strings.Contains(out, "Client Version: v1.37.2") || !strings.Contains(out, "Server Version: v1.37.2") {
			t.Errorf("kubectl version: %q, %v", out, err)
		}
		_, err = c.Kubectl(ctx, "get", "pod", "nobody")
		if err == nil || !strings.Contains(err.Error(), `pods "nobody" not found`) {
			t.Errorf("kubectl of a missing pod: %v", err)
		}
	})

	t.Run("the API server comes back with its state", func(t *testing.T) {
		if _, err := c.Kubectl(ctx, "create", "namespace", "kept"); err != nil {
			t.Fatal(err)
		}
		c.StopAPIServer()
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if _, err := c.client.CoreV1().Namespaces().Get(short, "kept", metav1.GetOptions{}); err == nil {
			t.Error("a stopped API server answered")
		}
		if err := c.StartAPIServer(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := c.client.CoreV1().Namespaces().Get(ctx, "kept", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})

	t.Run("etcd can be away for a while", func(t *testing.T) {
		if _, err := c.Kubectl(ctx, "create", "namespace", "stored"); err != nil {
			t.Fatal(err)
		}
		c.StopEtcd()
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if _, err := c.client.CoreV1().Namespaces().Get(short, "stored", metav1.GetOptions{}); err == nil {
			t.Error("an API server without its store answered")
		}
		if err := c.StartEtcd(ctx); err != nil {
			t.Fatal(err)
		}
		if err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
			_, err := c.client.CoreV1().Namespaces().Get(ctx, "stored", metav1.GetOptions{})
			return err == nil, nil
		}); err != nil {
			t.Error(err)
		}
	})
}

// audited says whether the audit log holds such a request.
func audited(t *testing.T, c *Cluster, user, verb, resource string, code int) bool {
	t.Helper()
	data, err := os.ReadFile(c.AuditLog)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var event struct {
			Level, Stage, Verb string
			User               struct{ Username string }
			ObjectRef          struct{ Resource string }
			ResponseStatus     struct{ Code int }
		}
		if err := json.Unmarshal(line, &event); err != nil {
			t.Fatal(err)
		}
		if event.Level != "Metadata" || event.Stage != "ResponseComplete" && event.Stage != "Panic" {
			t.Errorf("audit event of level %s, stage %s", event.Level, event.Stage)
		}
		if event.User.Username == user && event.Verb == verb && event.ObjectRef.Resource == resource && event.ResponseStatus.Code == code {
			return true
		}
	}
	return false
}
