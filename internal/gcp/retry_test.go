// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// readCalls is the number of calls of a read that always gets a transient error, if the calls take no time.
const readCalls = 6

// facts are the reads of a diagnosis, by the method that each makes.
var facts = map[string]func(context.Context, *Client) (diagnosis.State, diagnosis.Obstacle){
	"instances.get": func(ctx context.Context, c *Client) (diagnosis.State, diagnosis.Obstacle) {
		got, _ := c.NodeAccount(ctx, n1)
		return got.State, got.Obstacle
	},
	"GetRepository": func(ctx context.Context, c *Client) (diagnosis.State, diagnosis.Obstacle) {
		got := c.Repository(ctx, services)
		return got.State, got.Obstacle
	},
	"GetIamPolicy": func(ctx context.Context, c *Client) (diagnosis.State, diagnosis.Obstacle) {
		got := c.Access(ctx, services, nodesMember)
		return got.State, got.Obstacle
	},
	"projects.getIamPolicy": func(ctx context.Context, c *Client) (diagnosis.State, diagnosis.Obstacle) {
		got := c.ProjectAccess(ctx, services, nodesMember)
		return got.State, got.Obstacle
	},
	"iam.troubleshoot": func(ctx context.Context, c *Client) (diagnosis.State, diagnosis.Obstacle) {
		got := c.Overall(ctx, services, nodesMember)
		return got.State, got.Obstacle
	},
	"GetTag": func(ctx context.Context, c *Client) (diagnosis.State, diagnosis.Obstacle) {
		got := c.Content(ctx, imageref.Image{Repository: services, Package: "app", Tag: "v1"})
		return got.State, got.Obstacle
	},
	"GetVersion": func(ctx context.Context, c *Client) (diagnosis.State, diagnosis.Obstacle) {
		got := c.Content(ctx, imageref.Image{Repository: services, Package: "app", Digest: absentDigest})
		return got.State, got.Obstacle
	},
}

// newRetrying returns an emulated cloud in which every fact can be read.
func newRetrying(t *testing.T) *google {
	t.Helper()
	g := newGoogle(t)
	g.AddInstance(gcpemulator.Instance{Project: "acme", Zone: "us-central1-a", Name: "n1", ServiceAccount: nodes})
	g.client = newClient(t, Options{Endpoint: g.URL(), Clock: g.clock, Troubleshoot: true, CallTimeout: 2 * time.Second})
	return g
}

// TestOneTransientErrorIsNoFact plays each transient error once on each call.
func TestOneTransientErrorIsNoFact(t *testing.T) {
	for name, fault := range map[string]gcpemulator.Fault{
		"429":             {HTTPStatus: http.StatusTooManyRequests},
		"500":             {HTTPStatus: http.StatusInternalServerError},
		"502":             {HTTPStatus: http.StatusBadGateway, Body: "<html>Bad Gateway</html>"},
		"503":             {HTTPStatus: http.StatusServiceUnavailable},
		"504":             {HTTPStatus: http.StatusGatewayTimeout},
		"403 for a quota": {HTTPStatus: http.StatusForbidden, Body: errorInfo("RATE_LIMIT_EXCEEDED")},
		"reset":           {Reset: true},
		"no answer":       {Delay: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRetrying(t)
			for method, read := range facts {
				fault.Method, fault.Times = method, 1
				g.InjectFault(fault)
				begin := g.clock.Now()
				if state, obstacle := read(t.Context(), g.client); state == diagnosis.Unknown {
					t.Errorf("%s: unknown: %+v", method, obstacle)
				}
				if calls, took := g.count(method), g.clock.Since(begin); calls != 2 || took > time.Second {
					t.Errorf("%s: %d calls within %s, want 2 within a second", method, calls, took)
				}
			}
		})
	}
}

// TestRetriesAreBounded makes Google answer every call with an error.
func TestRetriesAreBounded(t *testing.T) {
	for method, read := range facts {
		t.Run(method, func(t *testing.T) {
			g := newRetrying(t)
			g.InjectFault(gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable})
			begin := g.clock.Now()
			state, obstacle := read(t.Context(), g.client)
			if state != diagnosis.Unknown || obstacle.Kind != diagnosis.Unavailable || obstacle.RetryAfter != firstProbe {
				t.Errorf("got state %d, %+v, want unknown until the first probe", state, obstacle)
			}
			if took := g.clock.Since(begin); took != retryBudget || g.count(method) != readCalls {
				t.Errorf("%d calls within %s, want %d within %s", g.count(method), took, readCalls, retryBudget)
			}
		})
	}
}

// TestOnlyTransientErrorsAreRetried checks that a read with any other error makes one call.
func TestOnlyTransientErrorsAreRetried(t *testing.T) {
	for name, fault := range map[string]gcpemulator.Fault{
		"400":         {HTTPStatus: http.StatusBadRequest},
		"401":         {HTTPStatus: http.StatusUnauthorized},
		"403":         {HTTPStatus: http.StatusForbidden},
		"404":         {HTTPStatus: http.StatusNotFound},
		"no JSON":     {HTTPStatus: http.StatusOK, Body: "<html>please log in</html>"},
		"API is off":  {HTTPStatus: http.StatusForbidden, Body: errorInfo("SERVICE_DISABLED")},
		"404 of none": {HTTPStatus: http.StatusNotFound, Body: "<html>none</html>"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRetrying(t)
			g.InjectFault(fault)
			if got := g.client.Repository(t.Context(), services); got.State == diagnosis.Present || got.Obstacle.RetryAfter != 0 {
				t.Errorf("got %+v", got)
			}
			if g.count("GetRepository") != 1 || len(g.clock.waits) != 0 {
				t.Errorf("%d calls and waits of %v, want one call", g.count("GetRepository"), g.clock.waits)
			}
		})
	}
}

func TestRetryAfterIsRespected(t *testing.T) {
	const second = time.Second
	for name, tc := range map[string]struct {
		asked time.Duration
		calls int
		want  time.Duration // The delay until a retry of the fact; 0 if it is known.
		why   string
	}{
		"shorter than the pause": {asked: 0, calls: 2, why: "the first pause is a quarter of a second"},
		"within the budget":      {asked: 4 * second, calls: 2, why: "it is waited for"},
		"longer than the budget": {asked: 6 * second, calls: 1, want: 6 * second, why: "no worker is held for so long"},
		"a minute":               {asked: 60 * second, calls: 1, want: 60 * second, why: "it is longer than the time to a probe"},
		"a day":                  {asked: 24 * time.Hour, calls: 1, want: maxOutage, why: "it is bounded"},
	} {
		for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
			t.Run(name, func(t *testing.T) {
				g := newRetrying(t)
				g.InjectFault(gcpemulator.Fault{Method: "GetRepository", HTTPStatus: status, RetryAfter: tc.asked, Times: 1})
				begin := g.clock.Now()
				got := g.client.Repository(t.Context(), services)
				if got.Obstacle.RetryAfter != tc.want || (got.State == diagnosis.Present) != (tc.want == 0) || g.count("GetRepository") != tc.calls {
					t.Fatalf("got %+v after %d calls, want %d calls, and to come back after %s: %s", got, g.count("GetRepository"), tc.calls, tc.want, tc.why)
				}
				if tc.want == 0 {
					if took := g.clock.Since(begin); took < tc.asked {
						t.Errorf("asked again after %s, want %s", took, tc.asked)
					}
					return
				}
				g.clock.Step(tc.want - 1)
				if got := g.client.Access(t.Context(), services, nodesMember); got.Obstacle.RetryAfter != 1 || g.count("GetIamPolicy") != 0 {
					t.Errorf("just before: got %+v and %d calls", got, g.count("GetIamPolicy"))
				}
				g.clock.Step(1)
				if got := g.client.Repository(t.Context(), services); got.State != diagnosis.Present {
					t.Errorf("then: got %+v", got)
				}
			})
		}
	}
}

// TestACallerThatLeavesIsNoOutage cancels the caller of a read that is not shared.
func TestACallerThatLeavesIsNoOutage(t *testing.T) {
	for name, fault := range map[string]gcpemulator.Fault{
		"during a call":  {Method: "GetRepository", Delay: time.Hour},
		"during a pause": {Method: "GetRepository", HTTPStatus: http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRetrying(t)
			g.InjectFault(fault)
			ctx, leave := context.WithCancel(t.Context())
			g.clock.onWait = leave
			answer := make(chan diagnosis.Repository)
			go func() { answer <- g.client.Repository(ctx, services) }()
			for g.count("GetRepository") == 0 {
				runtime.Gosched()
			}
			leave()
			if got := <-answer; got.Obstacle.Kind != diagnosis.Unavailable {
				t.Errorf("got %+v", got)
			}
			g.ClearFaults()
			if got := g.client.Repository(t.Context(), services); got.State != diagnosis.Present {
				t.Errorf("the next one got %+v", got)
			}
		})
	}
}

// TestPrepareReadsDuringAnOutage checks that Prepare reads during an outage: the read may show
// what became of a write.
func TestPrepareReadsDuringAnOutage(t *testing.T) {
	g := newRetrying(t)
	g.InjectFault(gcpemulator.Fault{Method: "GetRepository", HTTPStatus: http.StatusServiceUnavailable})
	g.client.Repository(t.Context(), services)
	if got := g.client.Access(t.Context(), services, nodesMember); got.State != diagnosis.Unknown {
		t.Errorf("got %+v, want unknown until the first probe", got)
	}
	write, err := g.edit(t, add)
	if err != nil || len(write.Change.Added) != 1 || g.count("GetIamPolicy") != 1 {
		t.Errorf("got %+v and %v after %d reads", write, err, g.count("GetIamPolicy"))
	}
}
