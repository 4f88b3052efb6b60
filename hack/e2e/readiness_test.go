// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/hack/cluster"
)

// cachedResources maps each check of /readyz to the resource that its cache lists.
var cachedResources = map[string]string{
	"pods": "/pods", "namespaces": "/namespaces", "grants": "/pullaccessgrants", "policies": "/pullaccesspolicies",
}

// TestReadyWithItsCaches delays the first list of every cache and releases one after the other. The operator is always alive,
// and ready after the last list, also while another replica is the leader.
func TestReadyWithItsCaches(t *testing.T) {
	for role, args := range map[string][]string{
		"alone":   nil,
		"standby": {"--leader-elect", "--leader-election-namespace=" + operatorNamespace},
	} {
		t.Run(role, func(t *testing.T) {
			if args != nil {
				holdLease(t)
			}
			lists := newHeldLists()
			probes := startHeld(t, lists, args)
			wantProbe(t, probes, "/readyz", http.StatusInternalServerError)
			for check, resource := range cachedResources {
				eventually(t, "the operator lists "+check, func(context.Context) (bool, any) { return lists.isReached(resource), nil })
			}
			wantProbe(t, probes, "/healthz", http.StatusOK)
			for _, check := range slices.Sorted(maps.Keys(cachedResources)) {
				wantProbe(t, probes, "/readyz", http.StatusInternalServerError)
				wantProbe(t, probes, "/readyz/"+check, http.StatusInternalServerError)
				lists.release(cachedResources[check])
				awaitProbe(t, probes, "/readyz/"+check)
			}
			awaitProbe(t, probes, "/readyz")
		})
	}
}

// holdLease gives the operator's Lease to another holder until the test ends.
func holdLease(t *testing.T) {
	t.Helper()
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: operatorName, Namespace: operatorNamespace},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("another"), LeaseDurationSeconds: ptr.To(int32(forGood.Seconds())),
			AcquireTime: ptr.To(metav1.NowMicro()), RenewTime: ptr.To(metav1.NowMicro()),
		},
	}
	// Operators of other tests may have left a Lease.
	if err := client.IgnoreNotFound(shared.client.Delete(t.Context(), lease.DeepCopy())); err != nil {
		t.Fatal(err)
	}
	createUntilEnd(t, lease)
}

// startHeld starts an operator whose lists are delayed, and returns the address of its probes without waiting.
func startHeld(t *testing.T, lists *heldLists, args []string) string {
	t.Helper()
	l := newLab(t)
	p := newProxy(t)
	p.meddle = lists.hold
	t.Cleanup(lists.releaseAll)
	log, probes := filepath.Join(t.TempDir(), "operator.log"), freeAddress(t)
	process, err := cluster.StartProcess(cluster.Command{
		Name: "operator", Path: shared.manager, Env: os.Environ(), Log: log,
		Args: slices.Concat([]string{
			"--kubeconfig=" + p.kubeconfig(t), "--gcp-endpoint=" + l.cloud.URL(), "--metrics-bind-address=0", "--health-probe-bind-address=" + probes,
		}, args),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Kill()
		wantNoRace(t, log)
		if t.Failed() {
			logOf(t, log)
		}
	})
	eventually(t, "the probes are served", func(ctx context.Context) (bool, any) {
		code, body := get(ctx, "http://"+probes+"/healthz")
		return code == http.StatusOK, body
	})
	return probes
}

func wantProbe(t *testing.T, probes, path string, want int) {
	t.Helper()
	if code, body := get(t.Context(), "http://"+probes+path); code != want {
		t.Errorf("%s answers %d, want %d: %s", path, code, want, body)
	}
}

func awaitProbe(t *testing.T, probes, path string) {
	t.Helper()
	eventually(t, path+" answers 200", func(ctx context.Context) (bool, any) {
		code, body := get(ctx, "http://"+probes+path)
		return code == http.StatusOK, body
	})
}

// heldLists delays lists and watches by the resource at the end of their path.
type heldLists struct {
	mu      sync.Mutex
	reached map[string]bool
	waiting map[string]chan struct{}
}

func newHeldLists() *heldLists {
	h := &heldLists{reached: map[string]bool{}, waiting: map[string]chan struct{}{}}
	for _, resource := range cachedResources {
		h.waiting[resource] = make(chan struct{})
	}
	return h
}

// hold handles each request of the proxy.
func (h *heldLists) hold(_ http.ResponseWriter, r *http.Request) *http.Request {
	at := strings.LastIndex(r.URL.Path, "/")
	h.mu.Lock()
	wait := h.waiting[r.URL.Path[max(at, 0):]]
	if wait != nil && r.Method == http.MethodGet {
		h.reached[r.URL.Path[at:]] = true
	}
	h.mu.Unlock()
	if wait == nil || r.Method != http.MethodGet {
		return r
	}
	select {
	case <-wait:
		return r
	case <-r.Context().Done():
		return nil
	}
}

func (h *heldLists) isReached(resource string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reached[resource]
}

// release stops the delay of a resource's lists.
func (h *heldLists) release(resource string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if wait := h.waiting[resource]; wait != nil {
		close(wait)
		delete(h.waiting, resource)
	}
}

func (h *heldLists) releaseAll() {
	for _, resource := range cachedResources {
		h.release(resource)
	}
}
