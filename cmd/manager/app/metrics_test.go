// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
)

// TestMetricsRequestsAreLimited: each request with a new token costs the API server a TokenReview.
func TestMetricsRequestsAreLimited(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	served := 0
	handler := limitRequests(clock, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	send := func(n int) (last int) {
		for range n {
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			last = recorder.Code
		}
		return last
	}
	for _, tc := range []struct {
		after      time.Duration
		wantServed int
		why        string
	}{
		{wantServed: 20, why: "the burst"},
		{after: 99 * time.Millisecond, wantServed: 20, why: "the next is served after a tenth of a second"},
		{after: time.Millisecond, wantServed: 21, why: "10 a second"},
		{after: time.Second, wantServed: 31, why: "10 a second"},
		{after: time.Hour, wantServed: 51, why: "no more than the burst"},
	} {
		clock.Step(tc.after)
		if code := send(100); code != http.StatusTooManyRequests || served != tc.wantServed {
			t.Errorf("after %s: %d served and code %d, want %d and 429: %s", tc.after, served, code, tc.wantServed, tc.why)
		}
	}
}

// TestSecureMetricsAreLimitedBeforeTheyAreAuthenticated sends 100 tokens that the API server does not know.
func TestSecureMetricsAreLimitedBeforeTheyAreAuthenticated(t *testing.T) {
	reviews := 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reviews++
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":false}}`))
	}))
	t.Cleanup(api.Close)
	filter, err := filterMetrics(clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)))(&rest.Config{Host: api.URL, QPS: -1}, api.Client())
	if err != nil {
		t.Fatal(err)
	}
	handler, err := filter(logr.Discard(), http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	codes := map[int]int{}
	for n := range 100 {
		recorder, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil)
		request.Header.Set("Authorization", fmt.Sprint("Bearer token-", n))
		handler.ServeHTTP(recorder, request)
		codes[recorder.Code]++
	}
	// For a token that is not valid, controller-runtime answers 500.
	if reviews != 20 || codes[http.StatusInternalServerError] != 20 || codes[http.StatusTooManyRequests] != 80 {
		t.Errorf("%d reviews of 100 tokens, and answers %v, want 20 reviews and 80 times 429", reviews, codes)
	}
}
