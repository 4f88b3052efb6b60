// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// other is a second repository of the same project.
var other = imageref.Repository{Project: "acme", Location: "us-central1", Name: "other"}

// TestAnOutageIsProbed checks that a project's reads fail at once after one used up its retries, until one of them
// probes.
func TestAnOutageIsProbed(t *testing.T) {
	g := newRetrying(t)
	g.AddRepository(gcpemulator.Repository{Project: other.Project, Location: other.Location, Name: other.Name})
	g.InjectFault(gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable})
	g.client.Repository(t.Context(), services)
	const method = "GetRepository"
	calls := readCalls
	for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30} {
		interval := time.Duration(seconds) * time.Second
		for _, before := range []time.Duration{interval, 1} {
			g.clock.Step(interval - before)
			interval = before
			got := g.client.Repository(t.Context(), other)
			if got.State != diagnosis.Unknown || got.Obstacle.RetryAfter != before || got.Obstacle.Detail != "Google answered HTTP 503: Service Unavailable" {
				t.Errorf("%s before the probe: got %+v", before, got)
			}
			if g.count(method) != calls {
				t.Fatalf("%d calls %s before the probe, want %d", g.count(method), before, calls)
			}
		}
		g.clock.Step(1)
		g.client.Repository(t.Context(), other)
		if calls++; g.count(method) != calls {
			t.Fatalf("%d calls after %d s, want %d: a probe is one call", g.count(method), seconds, calls)
		}
	}
	g.ClearFaults()
	g.clock.Step(lastProbe)
	for _, repository := range []imageref.Repository{other, services} {
		if got := g.client.Repository(t.Context(), repository); got.State != diagnosis.Present {
			t.Errorf("after the outage: got %+v", got)
		}
	}
}

// TestAnOutageIsOfOneProjectAndAPI checks that an outage does not affect other projects and
// APIs.
func TestAnOutageIsOfOneProjectAndAPI(t *testing.T) {
	g := newRetrying(t)
	g.AddProject("next", 418)
	next := imageref.Repository{Project: "next", Location: services.Location, Name: services.Name}
	g.AddRepository(gcpemulator.Repository{Project: next.Project, Location: next.Location, Name: next.Name})
	g.InjectFault(gcpemulator.Fault{Method: "GetRepository", Match: "projects/acme/", HTTPStatus: http.StatusServiceUnavailable})
	g.client.Repository(t.Context(), services)
	if got := g.client.Access(t.Context(), services, nodesMember); got.State != diagnosis.Unknown || g.count("GetIamPolicy") != 0 {
		t.Errorf("the same API and project: got %+v after %d calls", got, g.count("GetIamPolicy"))
	}
	if got := g.client.Repository(t.Context(), next); got.State != diagnosis.Present {
		t.Errorf("another project: got %+v", got)
	}
	for _, method := range []string{"instances.get", "projects.getIamPolicy", "iam.troubleshoot"} {
		if state, obstacle := facts[method](t.Context(), g.client); state == diagnosis.Unknown {
			t.Errorf("another API, %s: got %+v", method, obstacle)
		}
	}
}

func TestTargets(t *testing.T) {
	for resource, want := range map[string]string{
		"projects/acme/locations/us/repositories/r": "acme/locations/us", "projects/acme/locations/us": "acme/locations/us", "projects/acme": "acme", "projects/example.com:acme/roles/r": "example.com:acme",
		"roles/viewer": "roles", "organizations/7/roles/r": "organizations", "": "",
	} {
		if got := targetOf(artifactRegistry, resource); got != (target{artifactRegistry, want}) {
			t.Errorf("%q: got %+v", resource, got)
		}
	}
}

// met returns the fault of a read with this Retry-After.
func met(retryAfter time.Duration) *fault {
	return &fault{kind: unavailable, detail: "later", retryAfter: retryAfter}
}

// newTestOutages returns outages with one that has just begun.
func newTestOutages(t *testing.T) (*outages, *clocktesting.FakeClock, target) {
	t.Helper()
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	o, acme := newOutages(clock), target{artifactRegistry, "acme"}
	wantAdmitted(t, o, acme, false)
	wantRetryAfter(t, o.begin(acme, false, met(0)), firstProbe)
	return o, clock, acme
}

func wantAdmitted(t *testing.T, o *outages, of target, probe bool) {
	t.Helper()
	if got, f := o.admit(of); got != probe || f != nil {
		t.Errorf("admitted as a probe: %t, fault %v, want probe %t", got, f, probe)
	}
}

func wantDenied(t *testing.T, o *outages, of target, retryAfter time.Duration) {
	t.Helper()
	_, f := o.admit(of)
	if f == nil {
		t.Error("admitted")
		return
	}
	wantRetryAfter(t, f, retryAfter)
}

func wantRetryAfter(t *testing.T, f *fault, want time.Duration) {
	t.Helper()
	if f.retryAfter != want || f.detail != "later" {
		t.Errorf("got %q to be retried after %s, want %s", f.detail, f.retryAfter, want)
	}
}

func TestOneReadProbes(t *testing.T) {
	o, clock, acme := newTestOutages(t)
	clock.Step(firstProbe)
	wantAdmitted(t, o, acme, true)
	wantDenied(t, o, acme, firstProbe)
	o.abandon(acme, false)
	wantDenied(t, o, acme, firstProbe)
	o.abandon(acme, true) // Its caller has canceled.
	wantAdmitted(t, o, acme, true)
	wantRetryAfter(t, o.begin(acme, true, met(0)), 2*firstProbe)
	wantDenied(t, o, acme, 2*firstProbe)
}

// TestReadsThatFailTogetherAreOneOutage checks that simultaneous failures do not double the
// delay until the first probe.
func TestReadsThatFailTogetherAreOneOutage(t *testing.T) {
	o, clock, acme := newTestOutages(t)
	clock.Step(firstProbe / 2)
	for range 20 {
		wantRetryAfter(t, o.begin(acme, false, met(time.Hour)), firstProbe/2)
	}
	clock.Step(firstProbe / 2)
	wantAdmitted(t, o, acme, true)
	wantRetryAfter(t, o.begin(acme, false, met(0)), firstProbe) // An earlier read does not end the probe.
	wantDenied(t, o, acme, firstProbe)
	o.end(acme)
	wantAdmitted(t, o, acme, false)
}

// TestAnOutageThatComesBackIsProbedLess checks that an intermittent API keeps its longer
// probe interval.
func TestAnOutageThatComesBackIsProbedLess(t *testing.T) {
	o, clock, acme := newTestOutages(t)
	clock.Step(firstProbe)
	wantAdmitted(t, o, acme, true)
	o.end(acme)
	wantAdmitted(t, o, acme, false)
	wantRetryAfter(t, o.begin(acme, false, met(0)), 2*firstProbe)
	clock.Step(2 * firstProbe)
	wantAdmitted(t, o, acme, true)
	o.end(acme)
	clock.Step(outageMemory + time.Nanosecond)
	wantRetryAfter(t, o.begin(acme, false, met(0)), firstProbe)
}

// TestOutagesAreBounded checks the number of outages in memory, because images may name any
// project.
func TestOutagesAreBounded(t *testing.T) {
	o, _, _ := newTestOutages(t)
	const many, most = 20000, 5000
	for n := range many {
		wantRetryAfter(t, o.begin(target{artifactRegistry, fmt.Sprint("p", n)}, false, met(0)), firstProbe)
	}
	if kept := len(o.known.Keys()); kept > most {
		t.Errorf("%d outages are remembered, want at most %d", kept, most)
	}
}

// TestAWidespreadOutageIsNotRetried: images name any project, and each retried read keeps a worker for seconds.
func TestAWidespreadOutageIsNotRetried(t *testing.T) {
	g := newRetrying(t)
	named := func(n int) imageref.Repository {
		return imageref.Repository{Project: fmt.Sprint("acme-", n), Location: services.Location, Name: services.Name}
	}
	outage := func() { g.InjectFault(gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable}) }
	wantCalls := func(n, want int, took time.Duration) {
		t.Helper()
		before, began := g.count("GetRepository"), g.clock.Now()
		got := g.client.Repository(t.Context(), named(n))
		if calls := g.count("GetRepository") - before; calls != want || g.clock.Since(began) != took {
			t.Errorf("target %d: %d calls within %s, want %d within %s", n, calls, g.clock.Since(began), want, took)
		}
		if got.State != diagnosis.Unknown || got.Obstacle.Kind != diagnosis.Unavailable || got.Obstacle.RetryAfter != firstProbe {
			t.Errorf("target %d: got %+v, want unknown until the first probe", n, got)
		}
	}
	outage()
	for n := range 4 {
		wantCalls(n, readCalls, retryBudget)
	}
	for n := 4; n < 70; n++ {
		wantCalls(n, 1, 0)
	}
	if _, obstacle := facts["instances.get"](t.Context(), g.client); obstacle.Kind != diagnosis.Unavailable || g.count("instances.get") != readCalls {
		t.Errorf("another API: got %+v after %d calls, want %d", obstacle, g.count("instances.get"), readCalls)
	}

	g.ClearFaults()
	g.clock.Step(lastProbe)
	for n := range 67 { // Three are still out.
		if got := g.client.Repository(t.Context(), named(n)); got.Obstacle.Kind == diagnosis.Unavailable {
			t.Errorf("target %d, after the outage: got %+v", n, got)
		}
	}
	outage()
	wantCalls(70, readCalls, retryBudget)
	wantCalls(71, 1, 0)
}

// TestCachedDoesNotKeepWhatGoogleDidNotAnswer checks that caches keep no transient error.
func TestCachedDoesNotKeepWhatGoogleDidNotAnswer(t *testing.T) {
	late := diagnosis.Obstacle{Kind: diagnosis.Unavailable, RetryAfter: time.Minute}
	cloud := &fakeCloud{
		repository: diagnosis.Repository{Obstacle: late}, access: diagnosis.Access{Obstacle: late}, puller: diagnosis.Puller{Obstacle: late},
		overall: diagnosis.Overall{Obstacle: late}, content: diagnosis.Content{Obstacle: late},
	}
	cached := NewCached(cloud, clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)))
	for name, read := range map[string]func(){
		"repository":     func() { cached.Repository(t.Context(), services) },
		"access":         func() { cached.Access(t.Context(), services, nodesMember) },
		"project access": func() { cached.ProjectAccess(t.Context(), services, nodesMember) },
		"overall":        func() { cached.Overall(t.Context(), services, nodesMember) },
		"content":        func() { cached.Content(t.Context(), imageref.Image{Tag: "v1"}) },
		"account":        func() { cached.NodeAccount(t.Context(), someNode) },
		"account, group": func() {
			cached.NodeAccount(t.Context(), diagnosis.Node{Name: "gke-a-b-00000000-0000", ProviderID: "gce://p/z/gke-a-b-00000000-0000", Pool: "b"})
		},
	} {
		before := cloud.asked.Load()
		read()
		read()
		if asked := cloud.asked.Load() - before; asked != 2 {
			t.Errorf("%s: asked %d times, want 2", name, asked)
		}
	}
}
