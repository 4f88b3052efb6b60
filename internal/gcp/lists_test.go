// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// slowLists is a Google that has no image, and answers no list before it is released.
type slowLists struct {
	released chan struct{}
	mu       sync.Mutex
	// running is how many lists are read now, total how many were asked for.
	running, total int
}

// RoundTrip implements http.RoundTripper.
func (s *slowLists) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/versions") && !strings.HasSuffix(r.URL.Path, "/packages") {
		return jsonAnswer(http.StatusNotFound, `{"error":{"code":404,"message":"no","status":"NOT_FOUND"}}`), nil
	}
	s.add(1)
	defer s.add(-1)
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-s.released:
		return jsonAnswer(http.StatusOK, `{"versions":[{"relatedTags":[{"name":"projects/p/tags/a"}]}]}`), nil
	}
}

func (s *slowLists) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running += n
	s.total += max(n, 0)
}

func (s *slowLists) counts() (running, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running, s.total
}

func jsonAnswer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// imageOf is an image that is not there, in a project of its own.
func imageOf(n int) imageref.Image {
	repository := imageref.Repository{Project: fmt.Sprintf("acme-%d", n), Location: services.Location, Name: services.Name}
	return imageref.Image{Repository: repository, Package: "app", Tag: "c"}
}

// newSlowLists gives a client of a Google with slow lists. It runs in a bubble, whose time is emulated.
func newSlowLists(t *testing.T) (*Client, *slowLists) {
	t.Helper()
	google := &slowLists{released: make(chan struct{})}
	client := newClient(t, Options{Clock: clock.RealClock{}})
	client.connect = func() (*apis, error) {
		return newAPIs(t.Context(), "", defaultCallTimeout, func(string) (*http.Client, error) { return &http.Client{Transport: google}, nil })
	}
	return client, google
}

// TestFewListsAreReadAtOnce: an answer takes megabytes, and strangers choose the packages that are listed.
func TestFewListsAreReadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, google := newSlowLists(t)
		var all sync.WaitGroup
		for n := range 10 {
			all.Go(func() {
				if got := client.Content(t.Context(), imageOf(n)); got.State != diagnosis.Missing || len(got.Nearest) != 1 {
					t.Errorf("got %+v, want the nearest tag", got)
				}
			})
		}
		synctest.Wait()
		if running, _ := google.counts(); running != 2 {
			t.Errorf("%d lists are read at the same time, want 2", running)
		}
		close(google.released)
		all.Wait()
		if _, total := google.counts(); total != 10 {
			t.Errorf("%d lists were read, want 10", total)
		}
	})
}

// TestAListIsNotWaitedForLong checks that many lists do not hold up one another: a list only adds names to a missing
// image, and waiting for a turn begins no outage.
func TestAListIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, google := newSlowLists(t)
		defer close(google.released)
		began := clock.RealClock{}.Now() // The emulated time of the bubble.
		var all sync.WaitGroup
		for n := range 10 {
			all.Go(func() {
				if got := client.Content(t.Context(), imageOf(n)); got.State != diagnosis.Missing || len(got.Nearest) != 0 {
					t.Errorf("got %+v, want missing without names", got)
				}
			})
		}
		all.Wait()
		if took := (clock.RealClock{}).Since(began); took > defaultCallTimeout+time.Second {
			t.Errorf("the answers took %s", took)
		}
		if n := len(client.outages.known.Keys()); n > 2 {
			t.Errorf("%d outages, want those of the lists that were sent", n)
		}
	})
}

// TestAListEndsWithTheCall: Google's client hands no context to the requests of a list.
func TestAListEndsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, google := newSlowLists(t)
		defer close(google.released)
		client.Content(t.Context(), imageOf(0))
		<-clock.RealClock{}.After(defaultCallTimeout)
		synctest.Wait()
		if running, total := google.counts(); running != 0 || total == 0 {
			t.Errorf("%d of %d lists are still read", running, total)
		}
	})
}

// TestListsFitIntoTheBound has 1,000 ordinary packages listed, and 250 versions of 30 tags each.
func TestListsFitIntoTheBound(t *testing.T) {
	const parent = "projects/acme-images-production-417/locations/us-central1/repositories/services/packages/"
	const update = `"createTime":"2026-01-02T03:04:05.678901Z","updateTime":"2026-01-02T03:04:05.678901Z"`
	tag := `{"name":"` + parent + `app/tags/release-2026-01-02","version":"` + parent + "app/versions/" + absentDigest + `"}`
	version := `{"name":"` + parent + "app/versions/" + absentDigest + `",` + update + `,"relatedTags":[` + repeated(tag, 30) + `]}`
	pack := `{"name":"` + parent + `team%2Fapplication",` + update + `}`
	google := &answers{byEnd: map[string]string{
		"/versions": `{"versions":[` + repeated(version, 250) + `]}`, "/packages": `{"packages":[` + repeated(pack, 1000) + `]}`,
	}}
	client := newClient(t, Options{})
	client.connect = func() (*apis, error) {
		return newAPIs(t.Context(), "", defaultCallTimeout, func(string) (*http.Client, error) {
			return &http.Client{Transport: boundedTransport{google}}, nil
		})
	}
	if tags, f := client.tags(t.Context(), services.ResourceName()+"/packages/app"); f != nil || len(tags) != maxNames {
		t.Errorf("%d tags and %v", len(tags), f)
	}
	if names, f := client.packages(t.Context(), services.ResourceName()); f != nil || len(names) != 1000 {
		t.Errorf("%d packages and %v", len(names), f)
	}
}

// TestAnAnswerIsAtMost4MB: 64 workers read answers at the same time.
func TestAnAnswerIsAtMost4MB(t *testing.T) {
	if maxAnswer > 4<<20 {
		t.Errorf("an answer may have %d MB, want at most 4", maxAnswer>>20)
	}
}

func repeated(item string, n int) string {
	return strings.TrimSuffix(strings.Repeat(item+",", n), ",")
}

// answers gives each request the answer for the end of its path.
type answers struct{ byEnd map[string]string }

// RoundTrip implements http.RoundTripper.
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return jsonAnswer(http.StatusOK, a.byEnd[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/'):]]), nil
}
