// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/api/googleapi"
)

func TestFaultsOfTheAPI(t *testing.T) {
	for name, tc := range map[string]struct {
		fault    Fault
		wantHTTP [2]int // Of two calls; 0 is success.
		wantBody string // A part of the first call's.
	}{
		"other method":   {fault: Fault{Method: "SetIamPolicy", HTTPStatus: 503}},
		"other resource": {fault: Fault{Match: "repositories/other", HTTPStatus: 503}},
		"once":           {Fault{Times: 1, HTTPStatus: 503, Message: "try later"}, [2]int{503, 0}, "try later"},
		"until cleared":  {Fault{Method: "GetIamPolicy", HTTPStatus: 429}, [2]int{429, 429}, "RESOURCE_EXHAUSTED"},
		"by resource":    {Fault{Match: "repositories/services", Times: 1, HTTPStatus: 409}, [2]int{409, 0}, "ABORTED"},
		"status":         {Fault{Times: 1, HTTPStatus: 400, Status: "FAILED_PRECONDITION"}, [2]int{400, 0}, "FAILED_PRECONDITION"},
		"only slow":      {fault: Fault{Delay: time.Millisecond}},
		"late, served":   {fault: Fault{Delay: time.Millisecond, After: true}},
		"body":           {Fault{Times: 1, HTTPStatus: 502, Body: "<html>Bad Gateway</html>"}, [2]int{502, 0}, "<html>Bad Gateway</html>"},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := newEmulator(t)
			client := newClient(t, e)
			e.InjectFault(tc.fault)
			for n, want := range tc.wantHTTP {
				_, err := client.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{Resource: services})
				var api *googleapi.Error
				if want == 0 && err == nil {
					continue
				}
				if !errors.As(err, &api) || api.Code != want || (n == 0 && !strings.Contains(api.Body, tc.wantBody)) {
					t.Errorf("call %d: got %v, want %d %q", n, err, want, tc.wantBody)
				}
			}
			e.ClearFaults()
			if _, err := client.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{Resource: services}); err != nil {
				t.Errorf("after ClearFaults: %v", err)
			}
		})
	}
}

// The write takes effect and the client hears of a failure, or of nothing.
func TestFaultAfterTheWrite(t *testing.T) {
	for name, fault := range map[string]Fault{
		"time-out": {Method: "SetIamPolicy", Times: 1, After: true, HTTPStatus: 504},
		"reset":    {Method: "SetIamPolicy", Times: 1, After: true, Reset: true},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := newEmulator(t)
			e.InjectFault(fault)
			_, err := newClient(t, e).SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{
				Resource: services, Policy: policyOf(reader, "serviceAccount:"+node),
			})
			if err == nil {
				t.Error("the write succeeded; want a failure")
			}
			if fault.Reset && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset connection", err)
			}
			if got := e.Policy(services).GetBindings(); len(got) != 1 {
				t.Errorf("got %v, want the write to have taken effect", got)
			}
			wantStatus := fault.HTTPStatus
			if got := e.Requests(); len(got) != 1 || got[0].Status != wantStatus {
				t.Errorf("recorded %v, want one request with status %d", got, wantStatus)
			}
		})
	}
}

func TestSlowAnswerOutlastsTheClient(t *testing.T) {
	e, _ := newEmulator(t)
	e.InjectFault(Fault{Method: "GetRepository", Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	client, ended := newClient(t, e), make(chan error, 1)
	go func() {
		_, err := client.GetRepository(ctx, &artifactregistrypb.GetRepositoryRequest{Name: services})
		ended <- err
	}()
	for len(e.Requests()) == 0 {
		select {
		case err := <-ended:
			t.Fatalf("ended before the client left: %v", err)
		default:
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the client's own cancellation", err)
	}
}

func TestFaultsOfTheRegistry(t *testing.T) {
	e, _ := newEmulator(t)
	e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node))
	e.InjectFault(Fault{Method: "token", Match: "acme/services", Times: 1, HTTPStatus: 429, Message: "Quota exceeded", RetryAfter: 1500 * time.Millisecond})
	e.InjectFault(Fault{Method: "manifest", Match: "app:1.0", Times: 1, HTTPStatus: 503, Message: "later"})
	got := pullAs(t, e, appImage, e.Token(node))
	if want := `{"errors":[{"code":"TOOMANYREQUESTS","message":"Quota exceeded"}]}`; got.status != 429 || got.body != want || got.header.Get("Retry-After") != "2" {
		t.Errorf("token: got %d %s, Retry-After %q", got.status, got.body, got.header.Get("Retry-After"))
	}
	if got = pullAs(t, e, appImage, e.Token(node)); got.status != 503 || !strings.Contains(got.body, `"code":"UNAVAILABLE"`) {
		t.Errorf("manifest: got %d %s", got.status, got.body)
	}
	if got = pullAs(t, e, appImage, e.Token(node)); got.status != http.StatusOK {
		t.Errorf("after the faults: got %d %s", got.status, got.body)
	}
}
