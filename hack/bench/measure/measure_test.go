// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRequests(t *testing.T) {
	dir := t.TempDir()
	line := func(user, verb, object string, code, second int) string {
		return fmt.Sprintf(`{"verb":%q,"user":{"username":%q},"objectRef":%s,"responseStatus":{"code":%d},"requestReceivedTimestamp":"2026-11-01T03:00:%02d.500000Z"}`+"\n",
			verb, user, object, code, second)
	}
	// The log was rotated once; the newer part is found under its own name.
	write(t, filepath.Join(dir, "audit.log"),
		line("me", "patch", `{"resource":"pods","subresource":"status","namespace":"a","name":"p"}`, 409, 30)+
			line("you", "get", `{"resource":"pods"}`, 200, 31)+
			line("me", "get", `null`, 200, 32))
	write(t, filepath.Join(dir, "audit-2026-11-01T03-00-20.000.log"),
		line("me", "list", `{"apiGroup":"apps","resource":"deployments"}`, 200, 10)+
			line("me", "create", `{"resource":"events"}`, 201, 20))
	since := time.Date(2026, 11, 1, 3, 0, 15, 0, time.UTC)
	got, err := Requests(filepath.Join(dir, "audit.log"), "me", since)
	if err != nil {
		t.Fatal(err)
	}
	want := []Request{
		{User: "me", Verb: "create", Resource: "events", Status: 201, Time: since.Add(5500 * time.Millisecond)},
		{User: "me", Verb: "patch", Resource: "pods/status", Namespace: "a", Name: "p", Status: 409, Time: since.Add(15500 * time.Millisecond)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if !got[1].Conflict() || got[0].Conflict() {
		t.Error("the conflict is not told from the success")
	}
	if kind := got[1].Kind(); kind != "write patch pods/status" {
		t.Errorf("kind %q, want write patch pods/status", kind)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBusiestWindow(t *testing.T) {
	zero := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		at   []int // Seconds.
		want int
	}{
		"none":               {nil, 0},
		"one":                {[]int{5}, 1},
		"apart":              {[]int{0, 10, 20}, 1},
		"just within":        {[]int{0, 9}, 2},
		"not in their order": {[]int{30, 1, 31, 2, 32, 60}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var times []time.Time
			for _, s := range tc.at {
				times = append(times, zero.Add(time.Duration(s)*time.Second))
			}
			if got := BusiestWindow(times, 10*time.Second); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestSeries(t *testing.T) {
	page := "# HELP a text\n# TYPE a counter\na{b=\"c d\"} 12\nheap 1.5e+06\n"
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(page))
	}))
	defer server.Close()
	got, err := Series(t.Context(), server.Client(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]float64{`a{b="c d"}`: 12, "heap": 1.5e6}, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	status = http.StatusServiceUnavailable
	if _, err := Series(t.Context(), server.Client(), server.URL); err == nil {
		t.Error("a page that is not served was read")
	}
}
