// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

const groupName = "gke-prod-main-1f2e3d4c"

// fleet is a google with instances of one group, and a memory before its client.
type fleet struct {
	*google
	cached *Cached
}

func newFleet(t *testing.T, size int) *fleet {
	t.Helper()
	f := &fleet{google: newGoogle(t)}
	for i := range size {
		f.AddInstance(gcpemulator.Instance{
			Project: prod.Project, Zone: "us-central1-a", Name: fmt.Sprintf("%s-%04x", groupName, i), ServiceAccount: nodes, Scopes: []string{readOnlyScope},
		})
	}
	f.client = newClient(t, Options{Endpoint: f.URL(), Clock: f.clock, Cluster: prod})
	f.cached = NewCached(f.client, f.clock)
	return f
}

// member is a node of the group, by the suffix of its instance.
func member(suffix string) diagnosis.Node { return nodeAt(groupName+"-"+suffix, "main") }

func nodeAt(name, pool string) diagnosis.Node {
	return diagnosis.Node{Name: name, ProviderID: "gce://acme/us-central1-a/" + name, Pool: pool}
}

// puller is what is known of an instance of the group.
func puller(name string) diagnosis.Puller {
	return diagnosis.Puller{State: diagnosis.Present, Email: nodes, Scopes: []string{readOnlyScope}, Instance: "acme/us-central1-a/" + name}
}

// ask compares the puller of the node, and how many instances were read by then.
func (f *fleet) ask(t *testing.T, node diagnosis.Node, want diagnosis.Puller, wantReads int) {
	t.Helper()
	if diff := cmp.Diff(want, f.cached.NodeAccount(t.Context(), node)); diff != "" {
		t.Errorf("%s (-want +got)\n%s", node.ProviderID, diff)
	}
	if got := f.count("instances.get"); got != wantReads {
		t.Errorf("%d instances were read by %s, want %d", got, node.ProviderID, wantReads)
	}
}

func TestOneInstanceIsReadOfAGroup(t *testing.T) {
	f := newFleet(t, 50)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			node := member(fmt.Sprintf("%04x", i))
			if diff := cmp.Diff(puller(node.Name), f.cached.NodeAccount(t.Context(), node)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	all.Wait()
	if got := f.count("instances.get"); got != 1 {
		t.Errorf("%d instances were read, want 1 of 50 that are made alike", got)
	}
}

func TestAGroupIsRememberedForAWhile(t *testing.T) {
	f := newFleet(t, 3)
	f.ask(t, member("0000"), puller(groupName+"-0000"), 1)
	f.clock.Step(poolAccountTTL - time.Second)
	f.ask(t, member("0001"), puller(groupName+"-0001"), 1)
	f.clock.Step(2 * time.Second)
	f.ask(t, member("0000"), puller(groupName+"-0000"), 1) // Of itself it is known for an hour.
	f.ask(t, member("0001"), puller(groupName+"-0001"), 2) // What it had from another does not outlive that.
	f.ask(t, member("0002"), puller(groupName+"-0002"), 2)
}

// TestWhoIsNotOfTheGroup asks for nodes that look alike after the group is known.
func TestWhoIsNotOfTheGroup(t *testing.T) {
	const other = "gke-prod-main-1f2e3d4d-0000"
	for name, tc := range map[string]struct {
		node diagnosis.Node
		// instance is one that Compute Engine has, "" if none.
		instance gcpemulator.Instance
		reads    int
		why      string
	}{
		"another group":       {node: nodeAt(other, "main"), instance: gcpemulator.Instance{Zone: "us-central1-a", Name: other}, reads: 1, why: "it has another template"},
		"another pool":        {node: nodeAt(groupName+"-0001", "batch"), reads: 1, why: "its label says so"},
		"no pool":             {node: nodeAt(groupName+"-0001", ""), reads: 1, why: "no label says that it is of one"},
		"another form":        {node: nodeAt("gke-prod-main-1", "main"), instance: gcpemulator.Instance{Zone: "us-central1-a", Name: "gke-prod-main-1"}, reads: 1, why: "it may be anybody's"},
		"suffix too long":     {node: nodeAt(groupName+"-00010", "main"), reads: 1, why: "GKE does not name it so"},
		"another zone":        {node: diagnosis.Node{ProviderID: "gce://acme/us-central1-b/" + groupName + "-0001", Pool: "main"}, reads: 1, why: "the group is of a zone"},
		"another project":     {node: diagnosis.Node{ProviderID: "gce://other/us-central1-a/" + groupName + "-0001", Pool: "main"}, why: "it is none of ours, and nobody is asked"},
		"no Compute Engine":   {node: diagnosis.Node{ProviderID: "kind://acme/us-central1-a/" + groupName + "-0001", Pool: "main"}, why: "it is none of ours, and nobody is asked"},
		"a path behind":       {node: nodeAt(groupName+"-0001/x", "main"), why: "it names no instance"},
		"no provider ID":      {node: diagnosis.Node{Name: groupName + "-0001", Pool: "main"}, why: "the name of a node is no instance's"},
		"not known to anyone": {node: diagnosis.Node{ProviderID: member("0001").ProviderID, Pool: "main", Obstacle: givenUp}, why: "what was not read tells nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 2)
			if tc.instance.Name != "" {
				tc.instance.Project, tc.instance.ServiceAccount = prod.Project, batch
				f.AddInstance(tc.instance)
			}
			f.cached.NodeAccount(t.Context(), member("0000"))
			want, _ := f.client.NodeAccount(t.Context(), tc.node)
			before := f.count("instances.get")
			f.ask(t, tc.node, want, before+tc.reads)
			if t.Failed() {
				t.Log(tc.why)
			}
		})
	}
}

// TestMadeUpInstanceHidesNobody has a node claim an instance of the group that is not
// there, or has no account, before its neighbours are asked for.
func TestMadeUpInstanceHidesNobody(t *testing.T) {
	f := newFleet(t, 2)
	f.AddInstance(gcpemulator.Instance{Project: prod.Project, Zone: "us-central1-a", Name: groupName + "-none"})
	f.AddInstance(gcpemulator.Instance{Project: prod.Project, Zone: "us-central1-a", Name: groupName + "-user", ServiceAccount: "ada@example.com"})
	for i, suffix := range []string{"fake", "none", "user"} {
		if got := f.cached.NodeAccount(t.Context(), member(suffix)); got.State == diagnosis.Present {
			t.Errorf("%s: got %+v", suffix, got)
		}
		if got := f.count("instances.get"); got != i+1 {
			t.Errorf("%d instances were read, want %d: each is asked for itself", got, i+1)
		}
	}
	f.ask(t, member("0000"), puller(groupName+"-0000"), 4)
	f.ask(t, member("0001"), puller(groupName+"-0001"), 4)
	if got := f.cached.NodeAccount(t.Context(), member("fake")); got.State == diagnosis.Present {
		t.Errorf("what is known of a node was forgotten for its group: %+v", got)
	}
}

// TestMadeUpInstanceHoldsNobodyUp has the neighbours wait for it.
func TestMadeUpInstanceHoldsNobodyUp(t *testing.T) {
	cloud := &fakeCloud{puller: diagnosis.Puller{State: diagnosis.Unknown}, held: make(chan chan struct{})}
	f := newGoogle(t)
	cached := NewCached(cloud, f.clock)
	answers := make(chan diagnosis.Puller, 2)
	ask := func(suffix string) { answers <- cached.NodeAccount(t.Context(), member(suffix)) }
	go ask("fake")
	releaseFake := <-cloud.held
	go ask("0000")
	close(releaseFake)
	releaseOther := <-cloud.held // It is asked for itself, whether it waited or came later.
	close(releaseOther)
	<-answers
	<-answers
	if asked := cloud.asked.Load(); asked != 2 {
		t.Errorf("asked %d times, want once for each", asked)
	}
}

// TestPoolIsNotSharedAsInstance has Compute Engine refuse: what GKE then tells of the
// pool's label is no instance's account, and is asked for by each node.
func TestPoolIsNotSharedAsInstance(t *testing.T) {
	f := newFleet(t, 2)
	f.AddCluster(gcpemulator.Cluster{
		Project: prod.Project, Location: prod.Location, Name: prod.Name,
		NodePools: []gcpemulator.NodePool{{Name: "main", ServiceAccount: batch, Scopes: []string{"devstorage.read_only"}}},
	})
	f.InjectFault(gcpemulator.Fault{Method: "instances.get", HTTPStatus: http.StatusForbidden, Times: 1})
	want := puller(groupName + "-0000")
	want.Email = batch
	f.ask(t, member("0000"), want, 1)
	f.ask(t, member("0001"), puller(groupName+"-0001"), 2)
}
