// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// outage is for how long etcd is away.
const outage = 30 * time.Second

// clusterFault is one block of the matrix: what befalls the API server, or the way there, as the operator dies or in the
// middle of its work.
type clusterFault struct {
	name string
	// begin strikes, then the next operator is started where the first was killed, then end brings it to an end; nil is nothing.
	begin, end func(*testing.T, *life)
	// meddle gives what stands on the way of the operators; nil is nothing.
	meddle func(*life) meddler
	// elect: two operators run, and the one that leads is lost.
	elect bool
}

// meddler is what a proxy's meddle is.
type meddler = func(http.ResponseWriter, *http.Request) *http.Request

var clusterFaults = []clusterFault{
	{name: "none"},
	{
		name:  "apiserver-restart",
		begin: func(*testing.T, *life) { shared.StopAPIServer() },
		end:   func(t *testing.T, _ *life) { t.Helper(); recoverCluster(t) },
	},
	{
		name:  "etcd-stopped",
		begin: func(*testing.T, *life) { shared.StopEtcd() },
		end: func(t *testing.T, _ *life) {
			t.Helper()
			<-time.After(outage)
			recoverCluster(t)
		},
	},
	{name: "watches-closed", meddle: closeWatches},
	{name: "status-conflicts", meddle: contest},
	{name: "leader-lost", elect: true, begin: holdRestarts, end: loseLeader},
}

// chosenFaults are the blocks that the environment's FAULTS names, separated by commas; all without it.
func chosenFaults() ([]clusterFault, error) {
	said := os.Getenv("FAULTS")
	if said == "" {
		return clusterFaults, nil
	}
	var names []string
	for _, f := range clusterFaults {
		names = append(names, f.name)
	}
	var chosen []clusterFault
	for _, name := range strings.Split(said, ",") {
		at := slices.Index(names, name)
		if at < 0 {
			return nil, fmt.Errorf("FAULTS: %q is no fault of the API server; give some of %s, or leave it out for all", name, strings.Join(names, ","))
		}
		chosen = append(chosen, clusterFaults[at])
	}
	return chosen, nil
}

// recoverCluster starts what was stopped.
func recoverCluster(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := shared.StartEtcd(ctx); err != nil {
		t.Fatal(err)
	}
	start := period{from: time.Now()}
	if err := shared.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	start.to = time.Now()
	shared.starts = append(shared.starts, start)
}

// restartGate is the gate of every restart of a Deployment.
func restartGate() *gate { return &gate{method: http.MethodPatch, path: "/deployments/"} }

// holdRestarts waits until the operator leads that is going to lose the lead, and has it come no further than to its restarts.
func holdRestarts(t *testing.T, f *life) {
	t.Helper()
	loser, _ := f.succession()
	loser.holdToo(restartGate())
	eventually(t, "the operator leads that is going to lose the lead", func(ctx context.Context) (bool, any) { return loser.leads(ctx), nil })
}

// loseLeader cuts the operator that leads off from its lease, and returns when the next one leads.
func loseLeader(t *testing.T, f *life) {
	t.Helper()
	loser, heir := f.succession()
	loser.interfere(func(w http.ResponseWriter, r *http.Request) *http.Request {
		if strings.Contains(r.URL.Path, "/leases/") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return nil
		}
		return r
	})
	eventually(t, "another operator leads", func(ctx context.Context) (bool, any) { return heir.leads(ctx), nil })
	if _, starts, _ := loser.now(); starts < 2 {
		t.Errorf("the operator that was cut off from its lease has not ended, and another leads")
	}
}

// succession is who leads and loses the lead, and who leads then. The first was killed, or goes on until it loses.
func (f *life) succession() (loser, heir *keptOperator) {
	if f.dead {
		return f.standby, f.next
	}
	return f.first, f.standby
}

const (
	// closings is how many writes of the operator close its watches.
	closings = 40
	// conflicts is how many writes of each status come second.
	conflicts = 2
)

// closeWatches ends all open watches of the operator at each of its first writes, so that it goes by caches that are behind.
func closeWatches(f *life) meddler {
	var mu sync.Mutex
	open := map[context.Context]context.CancelFunc{}
	left := closings
	return func(_ http.ResponseWriter, r *http.Request) *http.Request {
		mu.Lock()
		defer mu.Unlock()
		switch watch := r.URL.Query().Get("watch"); {
		case watch == "true" || watch == "1":
			ctx, cancel := context.WithCancel(r.Context())
			open[ctx] = cancel
			return r.WithContext(ctx)
		case f.striking.Load() && r.Method != http.MethodGet && left > 0 && !strings.Contains(r.URL.Path, "/events"):
			left--
			for ctx, cancel := range open {
				if ctx.Err() == nil { // Else the operator is dead that had it.
					f.struck.Add(1)
				}
				cancel()
			}
			clear(open)
		}
		return r
	}
}

// contest has somebody else change a grant or a policy right before each of the operator's first writes of its status, so
// that the API server refuses them: what the operator has read is not there any more.
func contest(f *life) meddler {
	var mu sync.Mutex
	writes := map[string]int{}
	return func(w http.ResponseWriter, r *http.Request) *http.Request {
		object := statusOf(r)
		if object == nil || !f.striking.Load() {
			return r
		}
		mu.Lock()
		writes[r.URL.Path]++
		n := writes[r.URL.Path]
		mu.Unlock()
		if n > conflicts {
			return r
		}
		touch := fmt.Sprintf(`{"metadata":{"annotations":{"e2e.example.com/touched":"%d"}}}`, n)
		err := shared.client.Patch(r.Context(), object, client.RawPatch(types.MergePatchType, []byte(touch)))
		if client.IgnoreNotFound(err) != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return nil
		}
		if err == nil {
			f.struck.Add(1)
		}
		return r
	}
}

// statusOf is the grant or the policy whose status the request writes, nil if it does nothing of the kind.
func statusOf(r *http.Request) client.Object {
	const parts = 6 // apis/GROUP/VERSION/KIND/NAME/status
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.Method != http.MethodPatch || len(path) != parts || path[parts-1] != "status" || path[1] != v1alpha1.GroupVersion.Group {
		return nil
	}
	var object client.Object = &v1alpha1.PullAccessGrant{}
	if path[3] == "pullaccesspolicies" {
		object = &v1alpha1.PullAccessPolicy{}
	}
	object.SetName(path[4])
	return object
}
