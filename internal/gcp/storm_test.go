// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// outageOf answers every call with 503, and counts the calls by project and API.
type outageOf struct {
	mu    sync.Mutex
	calls map[string]int
}

// ServeHTTP implements http.Handler.
func (o *outageOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	api := "artifactregistry"
	if strings.HasPrefix(r.URL.Path, "/compute/") {
		api = "compute"
	}
	_, rest, _ := strings.Cut(r.URL.Path, "projects/")
	project, _, _ := strings.Cut(rest, "/")
	o.calls[api+" "+project]++
	w.WriteHeader(http.StatusServiceUnavailable)
}

// take returns the calls since the last take.
func (o *outageOf) take() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	calls := o.calls
	o.calls = map[string]int{}
	return calls
}

// TestAnOutageOfTenThousandPods has 10,000 pods on 200 nodes and 20 repositories ask for their facts at the same
// time, and again after each RetryAfter, while Google answers every call with 503.
func TestAnOutageOfTenThousandPods(t *testing.T) {
	const pods, nodesInAll, repositories, minutes = 10_000, 200, 20, 3
	google := &outageOf{calls: map[string]int{}}
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	server.Config.SetKeepAlivesEnabled(false) // An idle connection would stop the emulated time.
	synctest.Test(t, func(t *testing.T) {
		now := clock.RealClock{} // Inside the bubble, time is emulated.
		cached := NewCached(newClient(t, Options{Endpoint: server.URL, Clock: now}), now)
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for n := range pods {
			name := fmt.Sprintf("gke-prod-main-%08x-%04d", n%2, n%nodesInAll)
			node := diagnosis.Node{Name: name, ProviderID: "gce://acme-prod/us-central1-a/" + name, Pool: "main"}
			repository := imageref.Repository{Project: "acme-images", Location: "us-central1", Name: fmt.Sprint("r", n%repositories)}
			all.Go(func() { wantUnknown(ctx, t, cached, now, node, repository) })
		}
		for minute := range minutes {
			<-now.After(time.Minute)
			synctest.Wait()
			calls := google.take()
			limits := map[string]int{"compute acme-prod": 4, "artifactregistry acme-images": 4}
			if minute == 0 { // A read of each group of nodes and each repository, with all retries, and the first five probes.
				limits = map[string]int{"compute acme-prod": 2*readCalls + 6, "artifactregistry acme-images": repositories*readCalls + 6}
			}
			for of, n := range calls {
				if n > limits[of] {
					t.Errorf("minute %d: %d calls of %s, want at most %d", minute, n, of, limits[of])
				}
			}
			if len(calls) != len(limits) {
				t.Errorf("minute %d: calls %v, want some of each", minute, calls)
			}
		}
		stop()
		all.Wait()
	})
}

// wantUnknown plays one failing pod: it reads its facts, and again after each RetryAfter.
func wantUnknown(ctx context.Context, t *testing.T, cached *Cached, now clock.Clock, node diagnosis.Node, repository imageref.Repository) {
	t.Helper()
	for ctx.Err() == nil {
		var reads sync.WaitGroup
		var puller diagnosis.Puller
		var found diagnosis.Repository
		reads.Go(func() { puller = cached.NodeAccount(ctx, node) })
		reads.Go(func() { found = cached.Repository(ctx, repository) })
		reads.Wait()
		if ctx.Err() != nil {
			return
		}
		if puller.Obstacle.RetryAfter <= 0 || found.Obstacle.RetryAfter <= 0 {
			t.Errorf("got %+v and %+v, want both unknown for a while", puller, found)
			return
		}
		select {
		case <-ctx.Done():
		case <-now.After(puller.Obstacle.RetryAfter):
		}
	}
}
