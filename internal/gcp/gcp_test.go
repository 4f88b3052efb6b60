// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	nodes = "nodes@acme.iam.gserviceaccount.com"
	batch = "batch@acme.iam.gserviceaccount.com"

	nodesMember = "serviceAccount:" + nodes
	batchMember = "serviceAccount:" + batch
	human       = "user:ada@example.com"
)

var services = imageref.Repository{Project: "acme", Location: "us-central1", Name: "services"}

// google is an emulated cloud with one repository, two accounts and a client.
type google struct {
	*gcpemulator.Emulator
	client *Client
	clock  *hurriedClock
}

func newGoogle(tb testing.TB) *google {
	tb.Helper()
	e, err := gcpemulator.Start()
	if err != nil {
		tb.Fatalf("start the emulator: %v", err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Errorf("close the emulator: %v", err)
		}
	})
	e.AddProject("acme", 417)
	e.AddRepository(gcpemulator.Repository{Project: services.Project, Location: services.Location, Name: services.Name})
	e.AddServiceAccount(nodes)
	e.AddServiceAccount(batch)
	g := &google{Emulator: e, clock: newHurriedClock()}
	g.client = newClient(tb, Options{Endpoint: e.URL(), UserAgent: "pull-access-operator/test", Clock: g.clock})
	return g
}

// newClient makes a client whose waits pass at once, unless it has a clock.
func newClient(tb testing.TB, o Options) *Client {
	tb.Helper()
	if o.Clock == nil {
		o.Clock = newHurriedClock()
	}
	c, err := New(tb.Context(), o)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	return c
}

// sets counts the policy writes that arrived.
func (g *google) sets() int { return g.count("SetIamPolicy") }

func (g *google) count(method string) int {
	n := 0
	for _, request := range g.Requests() {
		if request.Method == method {
			n++
		}
	}
	return n
}

func (g *google) readers() []string {
	for _, binding := range g.Policy(services.ResourceName()).GetBindings() {
		if binding.GetRole() == iampolicy.Role {
			return binding.GetMembers()
		}
	}
	return nil
}

// foreignWrite puts members into the reader binding, as somebody else would.
func (g *google) foreignWrite(members ...string) {
	g.SetPolicy(services.ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{{Role: iampolicy.Role, Members: members}}})
}

// hurriedClock lets every wait pass at once, and notes how long it would have been.
type hurriedClock struct {
	*clocktesting.FakeClock

	mu     sync.Mutex
	waits  []time.Duration
	onWait func()
}

func newHurriedClock() *hurriedClock {
	return &hurriedClock{FakeClock: clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))}
}

// NewTimer implements clock.Clock.
func (c *hurriedClock) NewTimer(d time.Duration) clock.Timer {
	c.mu.Lock()
	c.waits = append(c.waits, d)
	onWait := c.onWait
	c.mu.Unlock()
	if onWait != nil {
		onWait()
	}
	timer := c.FakeClock.NewTimer(d)
	c.Step(d)
	return timer
}
