// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
)

// newManager returns a manager before a registry that answers everything with the status.
func newManager(t *testing.T, status int) (*Manager, *clocktesting.FakeClock, *record.FakeRecorder) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(server.Close)
	puller, err := NewPuller(t.Context(), t.TempDir(), server.URL, Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := puller.Close(); err != nil {
			t.Error(err)
		}
	})
	clk := clocktesting.NewFakeClock(time.Unix(1000, 0))
	recorder := record.NewFakeRecorder(1000)
	return NewManager(puller, recorder, clk, 10*time.Second, 300*time.Second), clk, recorder
}

func request(pod string) Request {
	return Request{Pod: "uid-1", Container: &corev1.ObjectReference{Kind: "Pod", Name: pod}, Image: "us-central1-docker.pkg.dev/acme/app/web:1"}
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	m, clk, _ := newManager(t, http.StatusForbidden)
	var got []time.Duration
	for range 7 {
		_, failure := m.Ensure(t.Context(), request("web"))
		if failure == nil || failure.Reason != "ErrImagePull" {
			t.Fatalf("the pull gave %+v, want ErrImagePull", failure)
		}
		_, backing := m.Ensure(t.Context(), request("web"))
		if backing == nil || backing.Reason != "ImagePullBackOff" || !strings.HasSuffix(backing.Message, "ErrImagePull: "+failure.Message) {
			t.Fatalf("right after it: %+v, want a back-off that holds %q", backing, failure.Message)
		}
		got = append(got, backing.Retry)
		clk.Step(backing.Retry)
	}
	want := []time.Duration{10e9, 20e9, 40e9, 80e9, 160e9, 300e9, 300e9}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("back-offs (-want +got):\n%s", diff)
	}
}

func TestForgottenPodStartsAnew(t *testing.T) {
	m, _, _ := newManager(t, http.StatusForbidden)
	m.Ensure(t.Context(), request("web"))
	m.Forget(request("web").Pod)
	if _, failure := m.Ensure(t.Context(), request("web")); failure == nil || failure.Reason != "ErrImagePull" {
		t.Errorf("a forgotten pod got %+v, want a pull", failure)
	}
}

func TestNeverPull(t *testing.T) {
	m, _, recorder := newManager(t, http.StatusForbidden)
	never := request("web")
	never.Policy = corev1.PullNever
	_, failure := m.Ensure(t.Context(), never)
	if failure == nil || failure.Reason != "ErrImageNeverPull" {
		t.Errorf("got %+v, want ErrImageNeverPull", failure)
	}
	want := `Warning ErrImageNeverPull Container image "us-central1-docker.pkg.dev/acme/app/web:1" is not present with pull policy of Never`
	if got := <-recorder.Events; got != want {
		t.Errorf("event %q, want %q", got, want)
	}
}

func TestGoogleRegistry(t *testing.T) {
	for host, want := range map[string]bool{
		"":                           false,
		"gcr.io":                     true,
		"eu.gcr.io":                  true,
		"us-central1-docker.pkg.dev": true,
		"docker.io":                  false,
		"pkg.dev.example.com":        false,
		"evilgcr.io":                 false,
	} {
		if got := isGoogleRegistry(host); got != want {
			t.Errorf("host %q: %t, want %t: a token goes to Google's registries and to nobody else", host, got, want)
		}
	}
}
